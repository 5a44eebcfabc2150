import { type Aligner, compileAligner, DEFAULT_REASON_TABLE, type ReasonTable } from './reason-table.ts';
import { type LocalTime, localClock } from './time.ts';

/** Raised with every change of meaning: a generation made by another version is never continued. */
export const RULES_VERSION = 2;

/** A call of the same family within this time makes the later one a repeat: 168 hours, not seven calendar days. */
export const REPEAT_MS = 168 * 3_600_000;

export type RepeatScope = 'same_issue' | 'any_reason';

/** What belongs to a generation and never changes within it. */
export interface Rules {
  readonly windowMs: number;
  readonly timeZone: string;
  readonly repeatScope: RepeatScope;
  readonly reasons: ReasonTable;
}

export const DEFAULT_RULES: Rules = {
  windowMs: 30 * 60_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  reasons: DEFAULT_REASON_TABLE,
};

/** The rules made ready for use, with the one thing they need from outside: which shard a member lives in. */
export interface RuleBook {
  readonly windowMs: number;
  readonly repeatScope: RepeatScope;
  readonly aligner: Aligner;
  readonly local: (instant: number) => LocalTime;
  readonly shardOf: (memberId: string) => number;
}

export function openRuleBook(rules: Rules, shardOf: (memberId: string) => number): RuleBook {
  return {
    windowMs: rules.windowMs,
    repeatScope: rules.repeatScope,
    aligner: compileAligner(rules.reasons),
    local: localClock(rules.timeZone),
    shardOf,
  };
}

function sameWords(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && a[key] === b[key]);
}

function sameTable(a: ReasonTable, b: ReasonTable): boolean {
  const types = new Set(a.journeyTypes);
  return (
    a.journeyTypes.length === b.journeyTypes.length &&
    b.journeyTypes.every((type) => types.has(type)) &&
    sameWords(a.reasons, b.reasons) &&
    sameWords(a.tokens, b.tokens)
  );
}

/** What a person set that differs from the generation's rules, one sentence each; empty when nothing does. */
export function rulesDifferences(wanted: Partial<Rules>, stored: Rules): string[] {
  const differences: string[] = [];
  if (wanted.windowMs !== undefined && wanted.windowMs !== stored.windowMs) {
    differences.push(
      `LEAKAGE_WINDOW_MINUTES is ${wanted.windowMs / 60_000}, the generation has ${stored.windowMs / 60_000}`,
    );
  }
  if (wanted.timeZone !== undefined && wanted.timeZone !== stored.timeZone) {
    differences.push(`TIME_ZONE is ${wanted.timeZone}, the generation has ${stored.timeZone}`);
  }
  if (wanted.repeatScope !== undefined && wanted.repeatScope !== stored.repeatScope) {
    differences.push(`REPEAT_SCOPE is ${wanted.repeatScope}, the generation has ${stored.repeatScope}`);
  }
  if (wanted.reasons !== undefined && !sameTable(wanted.reasons, stored.reasons)) {
    differences.push('REASON_TABLE lists other journey types, reasons or tokens than the generation');
  }
  return differences;
}
