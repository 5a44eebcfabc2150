import { readFileSync } from 'node:fs';
import type { Rules } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';

/** What `--set` says, each part only where it was said. */
export interface RuleOrders {
  readonly windowMinutes?: number;
  readonly repeatScope?: Rules['repeatScope'];
  readonly timeZone?: string;
  /** The path of a reason table. */
  readonly reasons?: string;
}

const NAMES = 'window=45m, repeat-scope=any_reason, reasons=<file>, time-zone=America/Chicago';

/** Reads `name=value` orders; throws CommandError (wrong usage) that names what is wrong. */
export function parseRuleOrders(texts: readonly string[]): RuleOrders {
  let orders: RuleOrders = {};
  for (const text of texts) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    const value = at < 0 ? '' : text.slice(at + 1).trim();
    if (value === '') throw wrong(`--set ${text} has no value`);
    orders = { ...orders, ...parseOrder(name.trim(), value) };
  }
  return orders;
}

function parseOrder(name: string, value: string): RuleOrders {
  switch (name) {
    case 'window':
      return { windowMinutes: minutes(value) };
    case 'repeat-scope':
      if (value !== 'same_issue' && value !== 'any_reason') throw wrong('repeat-scope is same_issue or any_reason');
      return { repeatScope: value };
    case 'time-zone':
      return { timeZone: value };
    case 'reasons':
      return { reasons: readable(value) };
    default:
      throw wrong(`--set does not know ${name}`);
  }
}

function minutes(text: string): number {
  const [, number, unit = 'm'] = /^(\d+)\s*(m|min|h)?$/.exec(text) ?? [];
  const value = Number(number) * (unit === 'h' ? 60 : 1);
  if (!(value >= 1 && value <= 1_440)) throw wrong('window is 1m to 24h, in whole minutes');
  return value;
}

function readable(path: string): string {
  try {
    readFileSync(path);
    return path;
  } catch (error) {
    throw wrong(`the reason table ${path} cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

function wrong(what: string): CommandError {
  return new CommandError(`${what}. It takes ${NAMES}.`, 2);
}

/** The settings by which silver-joiner makes a generation with the rules of another one, but for what was ordered. */
export function ruleVariables(base: Rules, orders: RuleOrders, reasonsFile: string): Record<string, string> {
  return {
    LEAKAGE_WINDOW_MINUTES: String(orders.windowMinutes ?? base.windowMs / 60_000),
    REPEAT_SCOPE: orders.repeatScope ?? base.repeatScope,
    TIME_ZONE: orders.timeZone ?? base.timeZone,
    REASON_TABLE: orders.reasons ?? reasonsFile,
  };
}

/** A stored reason table in the form of a REASON_TABLE file: a section for each journey type, and one for all. */
export function reasonFileText({ journeyTypes, reasons, tokens }: Rules['reasons']): string {
  const wordsOf = (words: Readonly<Record<string, string>>, type: string) =>
    Object.keys(words).filter((word) => words[word] === type);
  const sections = [...journeyTypes, 'any'].map((type) => [
    type,
    { reasons: wordsOf(reasons, type), tokens: wordsOf(tokens, type) },
  ]);
  return JSON.stringify(Object.fromEntries(sections), null, 2);
}
