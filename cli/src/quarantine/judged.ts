import type { Judge, Verdict } from './judge.ts';
import type { QuarantinedRecord } from './quarantine-store.ts';
import type { Repaired, Repairer } from './repairer.ts';

export interface JudgedRecord {
  readonly record: QuarantinedRecord;
  readonly repaired: Repaired;
  /** Null: the fix does not fit it, so there was nothing to judge. */
  readonly verdict: Verdict | null;
}

const earliest = Date.parse('0001-01-01T00:00:00Z');
const latest = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Makes a fix on records and asks silver's rules about the outcome, in the order given. Judged as if the repaired record had
 * come when the broken one came: a time that was wrong then is not right because a repair comes later.
 */
export async function judged(
  records: readonly QuarantinedRecord[],
  { repairer, judge }: { readonly repairer: Repairer; readonly judge: Judge },
): Promise<JudgedRecord[]> {
  const all = await repairer.repair(records);
  const questions = records.flatMap(({ source, receivedAt }, nr) => {
    const repaired = all[nr];
    const timestampMs = Math.min(latest, Math.max(earliest, receivedAt));
    return repaired?.ok === true ? [{ source, timestampMs, value: repaired.value }] : [];
  });
  const verdicts = (await judge.ask(questions)).values();
  return records.map((record, nr) => {
    const repaired = all[nr] ?? { ok: false, problem: 'unreadable', before: null };
    return { record, repaired, verdict: repaired.ok ? (verdicts.next().value ?? null) : null };
  });
}
