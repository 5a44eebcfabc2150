import { keyForm, lowerAscii } from './text.ts';

/** Stands for every journey type: login trouble can belong to any journey. */
export const ANY_TYPE = 'any';

/** As it is stored with a generation: reason or token -> journey type, or `any`. */
export interface ReasonTable {
  readonly journeyTypes: readonly string[];
  readonly reasons: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<string, string>>;
}

interface Section {
  readonly reasons: readonly string[];
  readonly tokens: readonly string[];
}

const DEFAULT_SECTIONS: Readonly<Record<string, Section>> = {
  billing: {
    reasons: [
      'billing_question',
      'billing_dispute',
      'payment_issue',
      'premium_question',
      'autopay_issue',
      'plan_eligibility',
    ],
    tokens: ['billing', 'payment', 'premium'],
  },
  id_card: {
    reasons: ['id_card_request', 'id_card_replacement', 'member_id_lookup'],
    tokens: ['id_card', 'idcard'],
  },
  pharmacy: {
    reasons: ['pharmacy_refill', 'pharmacy_prior_auth', 'rx_coverage', 'pharmacy_network'],
    tokens: ['pharmacy', 'rx'],
  },
  [ANY_TYPE]: { reasons: ['app_technical_support', 'login_help'], tokens: ['tech_support'] },
};

function register(target: Map<string, string>, what: string, word: string, type: string): void {
  if (keyForm(word) !== word || (what === 'token' && !/^[a-z0-9_]+$/.test(word))) {
    throw new Error(`reason table: ${what} '${word}' of '${type}' must be written in lower case without spaces`);
  }
  const other = target.get(word);
  if (other !== undefined && other !== type) {
    throw new Error(`reason table: ${what} '${word}' is listed for '${other}' and for '${type}': keep one`);
  }
  target.set(word, type);
}

/** Throws an Error that names the entry when a word is listed for two types or not in key form. */
export function buildReasonTable(sections: Readonly<Record<string, Section>>): ReasonTable {
  const reasons = new Map<string, string>();
  const tokens = new Map<string, string>();
  const journeyTypes: string[] = [];
  for (const [type, section] of Object.entries(sections)) {
    if (keyForm(type) !== type) throw new Error(`reason table: journey type '${type}' must be in lower case`);
    if (type !== ANY_TYPE) journeyTypes.push(type);
    for (const reason of section.reasons) register(reasons, 'reason', reason, type);
    for (const token of section.tokens) register(tokens, 'token', token, type);
  }
  if (journeyTypes.length === 0) throw new Error('reason table: no journey type is listed');
  return { journeyTypes, reasons: Object.fromEntries(reasons), tokens: Object.fromEntries(tokens) };
}

export const DEFAULT_REASON_TABLE: ReasonTable = buildReasonTable(DEFAULT_SECTIONS);

function wordsOf(value: unknown, where: string): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value;
  throw new Error(`reason table: ${where} must be a list of words`);
}

function isSection(value: unknown): value is { reasons?: unknown; tokens?: unknown } {
  return typeof value === 'object' && value !== null;
}

/** Reads a REASON_TABLE file: `{ "<journey type or any>": { "reasons": [...], "tokens": [...] }, ... }`. */
export function parseReasonTable(text: string): ReasonTable {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error('reason table: the file must hold one JSON object, a section per journey type');
  }
  const sections: Record<string, Section> = {};
  for (const [type, section] of Object.entries<unknown>({ ...value })) {
    if (!isSection(section)) throw new Error(`reason table: '${type}' must be an object`);
    sections[type] = {
      reasons: wordsOf(section.reasons, `${type}.reasons`),
      tokens: wordsOf(section.tokens, `${type}.tokens`),
    };
  }
  return buildReasonTable(sections);
}

/** What a call is about, as far as its reason or, without one, its path tells. */
export interface Alignment {
  /** A reason was given, or a listed token was found. Without either a call is at most `possible`. */
  readonly known: boolean;
  readonly types: readonly string[];
  readonly strength: 1 | 2;
  readonly family: string | null;
}

export interface Aligner {
  readonly journeyTypes: ReadonlySet<string>;
  align(callReason: string | null, ivrPath: string | null): Alignment;
}

const UNKNOWN: Alignment = { known: false, types: [], strength: 1, family: null };

function hasReason(reason: string | null): reason is string {
  return reason !== null && reason !== 'unknown' && reason !== 'other';
}

/** Compiles a table; maps, not objects, so that a reason called `constructor` is only a reason. */
export function compileAligner(table: ReasonTable): Aligner {
  const reasons = new Map(Object.entries(table.reasons));
  const tokens = new Map(Object.entries(table.tokens));
  const all = table.journeyTypes;
  const typesOf = (target: string): readonly string[] => (target === ANY_TYPE ? all : [target]);

  function byPath(ivrPath: string | null): Alignment {
    if (ivrPath === null) return UNKNOWN;
    let family: string | null = null;
    const types = new Set<string>();
    for (const word of lowerAscii(ivrPath).split(/[^a-z0-9_]+/)) {
      const target = tokens.get(word);
      if (target === undefined) continue;
      family ??= target;
      for (const type of typesOf(target)) types.add(type);
    }
    return family === null ? UNKNOWN : { known: true, types: [...types], strength: 1, family };
  }

  return {
    journeyTypes: new Set(all),
    align(callReason, ivrPath) {
      if (!hasReason(callReason)) return byPath(ivrPath);
      const target = reasons.get(callReason);
      if (target === undefined) return { known: true, types: [], strength: 2, family: callReason };
      return { known: true, types: typesOf(target), strength: 2, family: target };
    },
  };
}
