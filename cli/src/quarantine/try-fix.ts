import { isDeepStrictEqual } from 'node:util';
import type { Source } from '@leakage/schemas';
import type { Judge } from './judge.ts';
import { type JudgedRecord, judged } from './judged.ts';
import { masked } from './mask.ts';
import { positionText } from './position.ts';
import type { QuarantineStore, Selection } from './quarantine-store.ts';
import { Refusals, type Refused } from './refusals.ts';
import type { Repairer } from './repairer.ts';
import type { Fields } from './steps.ts';

/** A field that a fix has changed; masked. Undefined: the record has no such field. */
export interface Change {
  readonly field: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

export interface Tried {
  readonly position: string;
  /** Why it is in quarantine. */
  readonly reasons: readonly string[];
  readonly changes: readonly Change[];
  readonly accepted: boolean;
  /** Why it would be quarantined again, or why the fix does not fit it. */
  readonly refusedFor: readonly string[];
  readonly warnings: readonly string[];
}

export interface TrialReport {
  readonly source: Source;
  /** Records that are meant by the fix and the selection. */
  readonly selected: number;
  readonly tried: number;
  readonly accepted: number;
  readonly refused: readonly Refused[];
  readonly records: readonly Tried[];
}

export interface TrialOptions {
  readonly source: Source;
  readonly selection: Selection;
  /** How many records are tried. */
  readonly sample: number;
  readonly quarantine: QuarantineStore;
  readonly repairer: Repairer;
  readonly judge: Judge;
}

/** Makes a fix on some records and has silver's rules judge the outcome. Nothing is sent and nothing is stored. */
export async function tryFix(o: TrialOptions): Promise<TrialReport> {
  const selected = await o.quarantine.count(o.selection);
  const records = await o.quarantine.sample(o.selection, o.sample);
  const tried = (await judged(records, o)).map((one) => triedOf(one));
  const refusals = new Refusals();
  tried.forEach((one, nr) => {
    const record = records[nr];
    if (!one.accepted && record !== undefined) refusals.add(one.refusedFor, record);
  });
  return {
    source: o.source,
    selected,
    tried: tried.length,
    accepted: tried.filter((one) => one.accepted).length,
    refused: refusals.list(),
    records: tried,
  };
}

function triedOf({ record, repaired, verdict }: JudgedRecord): Tried {
  return {
    position: positionText(record),
    reasons: record.reasons,
    changes: repaired.ok ? changesOf(record.source, repaired) : [],
    accepted: verdict?.ok === true,
    refusedFor: repaired.ok ? (verdict?.reasons ?? []) : [repaired.problem],
    warnings: verdict?.warnings ?? [],
  };
}

function changesOf(source: Source, { before, after }: { before: Fields; after: Fields }): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => ({
      field,
      ...(Object.hasOwn(before, field) ? { before: masked(source, field, before[field]) } : {}),
      ...(Object.hasOwn(after, field) ? { after: masked(source, field, after[field]) } : {}),
    }));
}
