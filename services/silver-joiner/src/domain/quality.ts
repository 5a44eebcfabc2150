import type { Source } from '@leakage/schemas';
import { type Base, EXPECTATIONS, type Expectation, type RuleId } from './expectations.ts';

/** The rules that count records of a source. */
export type CountedRule = Rule & { readonly base: Base };
type Rule = Expectation & { readonly id: RuleId };

const RULES: readonly Rule[] = EXPECTATIONS;
const isCounted = (rule: Rule): rule is CountedRule => rule.base !== null;
const forSources = <T>(of: (source: Source) => T): Readonly<Record<Source, T>> => ({
  journeys: of('journeys'),
  calls: of('calls'),
  members: of('members'),
});

export const COUNTED: Readonly<Record<Source, readonly CountedRule[]>> = forSources((source) =>
  RULES.filter(isCounted).filter((rule) => rule.sources.includes(source)),
);

function namesOf(kind: 'reasons' | 'warnings') {
  return forSources((source) => new Map(COUNTED[source].flatMap((rule) => rule[kind].map((name) => [name, rule.id]))));
}
const REASONS = namesOf('reasons');
const WARNINGS = namesOf('warnings');

function ruleOf(names: ReadonlyMap<string, RuleId>, name: string): RuleId | null {
  return names.get(name) ?? names.get(name.replace(/:.*/s, ':*')) ?? null;
}

/** The rule that a record breaks which is quarantined for this reason. */
export const ruleOfReason = (source: Source, reason: string): RuleId | null => ruleOf(REASONS[source], reason);

/** The rule that a record breaks which is kept with this warning; null where the rule tolerates it. */
export const ruleOfWarning = (source: Source, warning: string): RuleId | null => ruleOf(WARNINGS[source], warning);

/** What the rules find in the records of one source, each a function of the record alone; thrown away with its batch. */
export class QualityTally {
  readonly source: Source;
  received = 0;
  quarantined = 0;
  first = 0;
  coded = 0;
  /** Records by the rule they break: a record counts once for a rule, however many reasons it gives. */
  readonly broken = new Map<RuleId, number>();
  readonly warnings = new Map<string, number>();
  /** How old first versions were when they were sent. */
  readonly delaysMs: number[] = [];
  newestEmittedAt = Number.NEGATIVE_INFINITY;
  /** The greatest event time, never later than the instant at which its record was sent. */
  watermark = Number.NEGATIVE_INFINITY;

  constructor(source: Source) {
    this.source = source;
  }

  refuse(reasons: readonly string[]): void {
    this.received += 1;
    this.quarantined += 1;
    this.#break(new Set(reasons.map((reason) => ruleOfReason(this.source, reason))));
  }

  keep(warnings: readonly string[]): void {
    this.received += 1;
    if (warnings.length === 0) return;
    for (const warning of warnings) this.warnings.set(warning, (this.warnings.get(warning) ?? 0) + 1);
    this.#break(new Set(warnings.map((warning) => ruleOfWarning(this.source, warning))));
  }

  /** When a kept record's event happened, and when it was sent. */
  time(timestamp: number, { revision, emitted_at }: { readonly revision: number; readonly emitted_at: number }): void {
    this.watermark = Math.max(this.watermark, Math.min(timestamp, emitted_at));
    if (revision > 0) return;
    this.first += 1;
    this.delaysMs.push(Math.max(0, emitted_at - timestamp));
  }

  #break(rules: ReadonlySet<RuleId | null>): void {
    for (const rule of rules) if (rule !== null) this.broken.set(rule, (this.broken.get(rule) ?? 0) + 1);
  }
}

/** What applying a batch found out about one source's records. */
export interface Settled {
  readonly duplicates: number;
  /** Records that met another content of their revision, whichever of the two won. */
  readonly conflicts: number;
  readonly lookedUp: LookedUp;
}

/** Accepted calls or decisive events, and those of them whose member has no profile. */
export interface LookedUp {
  readonly checked: number;
  readonly unknown: number;
}

export interface Score {
  readonly rule: CountedRule;
  readonly checked: number;
  readonly violations: number;
}

/** Of every counted rule of the source: how many records it looked at, and how many break it. */
export function scores(tally: QualityTally, settled: Settled): Score[] {
  const { received, quarantined, first, coded } = tally;
  const { checked: looked_up, unknown } = settled.lookedUp;
  const bases: Record<Base, number> = { received, valid: received - quarantined, first, coded, looked_up };
  return COUNTED[tally.source].map((rule) => {
    const settledViolations = rule.outcomes.reduce((sum, outcome) => sum + settled[outcome], 0);
    const unknownMembers = rule.base === 'looked_up' ? unknown : 0;
    const violations = (tally.broken.get(rule.id) ?? 0) + settledViolations + unknownMembers;
    return { rule, checked: bases[rule.base], violations };
  });
}
