import type { DifferingCalls, ShownCall, ShownView } from './calls.ts';
import { causeOf, causes, type DifferingRules, type Judged, meanings, whyOf } from './causes.ts';
import { isoInstant } from './sql.ts';
import type {
  CallView,
  CauseFigures,
  ComparedGeneration,
  DiffReport,
  Example,
  FiguresOf,
  StoredRules,
} from './types.ts';

export function differingRules(a: StoredRules, b: StoredRules): DifferingRules {
  const words = (rules: StoredRules) =>
    JSON.stringify([
      [...rules.reasons.journeyTypes].sort(),
      Object.entries(rules.reasons.reasons).sort(byName),
      Object.entries(rules.reasons.tokens).sort(byName),
    ]);
  const anyReason = b.repeatScope === 'any_reason' ? 'b' : 'a';
  return {
    window: a.windowMs !== b.windowMs,
    reasons: words(a) !== words(b),
    anyReason: a.repeatScope === b.repeatScope ? null : anyReason,
    timeZone: a.timeZone !== b.timeZone,
    version: a.rulesVersion !== b.rulesVersion,
  };
}

const byName = ([x]: [string, string], [y]: [string, string]) => (x < y ? -1 : 1);

/** Calls counted by cause, those first that move the most leakage calls. */
export function causeFigures(
  groups: readonly DifferingCalls[],
  rules: DifferingRules,
  costPerCallCents: number | null,
): CauseFigures[] {
  const byCause = Map.groupBy(groups, ({ signature }) => causeOf(signature, rules));
  const figures = [...byCause].map(([cause, some]): CauseFigures => {
    const sum = (of: (group: DifferingCalls) => number) => some.reduce((total, group) => total + of(group), 0);
    const [onlyA, onlyB] = [sum((group) => group.onlyA), sum((group) => group.onlyB)];
    return {
      cause,
      meaning: meanings[cause],
      calls: sum((group) => group.calls),
      onlyA,
      onlyB,
      difference: onlyB - onlyA,
      cents: costPerCallCents === null ? null : (onlyB - onlyA) * costPerCallCents,
      repeatDifference: sum((group) => group.repeatDifference),
    };
  });
  const weight = (one: CauseFigures) => one.onlyA + one.onlyB;
  return figures.sort(
    (x, y) => weight(y) - weight(x) || y.calls - x.calls || causes.indexOf(x.cause) - causes.indexOf(y.cause),
  );
}

export interface Judging {
  readonly rules: DifferingRules;
  readonly a: ComparedGeneration;
  readonly b: ComparedGeneration;
  /** Calls of each cause and journey type. */
  readonly max: number;
}

/** The latest calls of each cause and journey type; those first that one of the two alone charges, which is what costs. */
export function examplesOf(groups: readonly DifferingCalls[], o: Judging): Example[] {
  const keyOf = ({ signature, journey }: DifferingCalls) => `${causeOf(signature, o.rules)}\n${journey}`;
  return [...Map.groupBy(groups, keyOf).values()]
    .flatMap((some) =>
      some
        .flatMap((group) => group.shown.map((call) => ({ group, call })))
        .sort(
          (x, y) =>
            Number(isMoved(y.group)) - Number(isMoved(x.group)) ||
            y.call.calledAt - x.call.calledAt ||
            (x.call.callId < y.call.callId ? -1 : 1),
        )
        .slice(0, o.max),
    )
    .map(({ group, call }) => exampleOf(call, { group, o }))
    .sort((x, y) => causes.indexOf(x.cause) - causes.indexOf(y.cause));
}

const isMoved = ({ signature }: DifferingCalls): boolean => signature.charged === 'a' || signature.charged === 'b';

function exampleOf(call: ShownCall, { group, o }: { readonly group: DifferingCalls; readonly o: Judging }): Example {
  const [a, b] = [viewOf(call.a), viewOf(call.b)];
  const judged: Judged = { cause: causeOf(group.signature, o.rules), signature: group.signature, a, b };
  return {
    callId: call.callId,
    calledAt: new Date(call.calledAt).toISOString(),
    callReason: call.callReason,
    cause: judged.cause,
    why: whyOf(judged, o.a, o.b),
    a,
    b,
  };
}

function viewOf(view: ShownView | null): CallView | null {
  if (view === null) return null;
  const { timeToCallMs, ...rest } = view;
  return {
    ...rest,
    failedAt: isoInstant(view.failedAt),
    minutesToCall: timeToCallMs === null ? null : timeToCallMs / 60_000,
  };
}

const whole = new Intl.NumberFormat('en-US');
const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

/** The whole report in one sentence. */
export function headlineOf(o: Pick<DiffReport, 'equal' | 'a' | 'b' | 'days' | 'totals'>): string {
  const { a, b, days } = o;
  if (days === null) return `Generations ${a.id} and ${b.id} hold no figure yet: there is nothing to compare.`;
  const when = `from ${days.from} to ${days.to}`;
  if (o.equal) return `Generations ${a.id} and ${b.id} are equal ${when}: no figure and no call differs.`;
  const { difference, cents, a: ofA } = o.totals.leakageCalls;
  const charges = b.state === 'active' ? 'charges' : 'would charge';
  if (difference === 0) {
    return `Generation ${b.id} ${charges} as many calls as generation ${a.id} ${when} (${whole.format(ofA)}), but they are not equal.`;
  }
  const count = Math.abs(difference);
  const word = `${difference > 0 ? 'more' : 'fewer'} ${count === 1 ? 'call' : 'calls'}`;
  const cost = cents === null ? '' : ` (${dollars.format(Math.abs(cents) / 100)})`;
  return `Generation ${b.id} ${charges} ${whole.format(count)} ${word}${cost} than generation ${a.id} ${when}${shareOf(difference, ofA)}.`;
}

function shareOf(difference: number, of: number): string {
  if (of === 0) return ', which charges none';
  const percent = (100 * difference) / of;
  return `: ${percent > 0 ? '+' : '-'}${Math.abs(percent).toFixed(1)} %`;
}

export interface Noted {
  readonly a: ComparedGeneration;
  readonly b: ComparedGeneration;
  readonly costPerCallCents: number | null;
  /** What ops.parameter says; another price was asked for where it differs. */
  readonly storedCents: number | null;
  readonly totals: FiguresOf;
  readonly causes: readonly CauseFigures[];
}

/** What a reader must know to trust the figures. */
export function notesOf(o: Noted): string[] {
  const notes: string[] = [];
  const { costPerCallCents: cents, storedCents, totals } = o;
  if (cents === null) notes.push('no cost_per_call is set in ops.parameter: calls have no price');
  else if (cents !== storedCents) {
    const [a, b] = [totals.leakageCalls.a, totals.leakageCalls.b].map((calls) => dollars.format((calls * cents) / 100));
    const stored = storedCents === null ? 'says nothing' : `says ${dollars.format(storedCents / 100)}`;
    notes.push(
      `a call costs ${dollars.format(cents / 100)} as asked, where ops.parameter ${stored}: leakage of generation ${o.a.id} then costs ${a}, of generation ${o.b.id} ${b}`,
    );
  }
  if (o.a.rules.timeZone !== o.b.rules.timeZone) {
    notes.push(
      `a local day is one of ${o.a.rules.timeZone} in generation ${o.a.id} and one of ${o.b.rules.timeZone} in generation ${o.b.id}`,
    );
  }
  for (const { id, unfoldedChanges } of [o.a, o.b]) {
    if (unfoldedChanges === 0) continue;
    notes.push(
      `gold of generation ${id} has ${whole.format(unfoldedChanges)} changes of silver still to fold: its figures are that much older than its calls`,
    );
  }
  const explained = o.causes.reduce((sum, { difference }) => sum + difference, 0);
  const shown = o.totals.leakageCalls.difference;
  if (explained !== shown) {
    const [calls, figures] = [whole.format(explained), whole.format(shown)];
    notes.push(
      o.a.unfoldedChanges + o.b.unfoldedChanges > 0
        ? `so the calls explain a difference of ${calls}, and the figures show ${figures}`
        : `the calls explain a difference of ${calls}, the figures show ${figures}: gold and silver of one of them do not agree`,
    );
  }
  return notes;
}
