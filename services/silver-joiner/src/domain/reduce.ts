import { type Content, compareContent } from './identity.ts';

/** What became of a record; quarantined ones never come this far. */
export type Outcome = 'accepted' | 'superseded' | 'duplicates' | 'conflicts';

export interface Reduced<R> {
  /** One record per identity: the one that may be merged, in the order of first appearance. */
  readonly winners: Map<string, R>;
  /** Records that lost within the batch, each with its outcome. */
  readonly losers: readonly { readonly record: R; readonly outcome: Exclude<Outcome, 'accepted'> }[];
  /** Identities with several contents at the winner's revision: one record per other content. */
  readonly rivals: Map<string, R[]>;
}

/**
 * One record per identity, by revision, then by content: a merge statement may not meet a key twice, and the winner
 * may not depend on the order of arrival (law 5).
 */
export function reduceBatch<R>(
  records: Iterable<R>,
  of: { identity(record: R): string; revision(record: R): number; content(record: R): Content },
): Reduced<R> {
  const winners = new Map<string, R>();
  const repeated = new Map<string, R[]>();
  for (const record of records) {
    const identity = of.identity(record);
    const first = winners.get(identity);
    if (first === undefined) {
      winners.set(identity, record);
      continue;
    }
    const group = repeated.get(identity);
    if (group === undefined) repeated.set(identity, [first, record]);
    else group.push(record);
  }

  const losers: { record: R; outcome: Exclude<Outcome, 'accepted'> }[] = [];
  const rivals = new Map<string, R[]>();
  for (const [identity, group] of repeated) {
    const ranked = group
      .map((record) => ({ record, revision: of.revision(record), content: of.content(record) }))
      .sort((a, b) => b.revision - a.revision || compareContent(b.content, a.content));
    const [best, ...rest] = ranked;
    if (best === undefined) continue;
    winners.set(identity, best.record);
    let last = best;
    for (const other of rest) {
      const { record } = other;
      if (other.revision < best.revision) {
        losers.push({ record, outcome: 'superseded' });
        continue;
      }
      losers.push({ record, outcome: compareContent(other.content, best.content) === 0 ? 'duplicates' : 'conflicts' });
      if (compareContent(other.content, last.content) !== 0) {
        const known = rivals.get(identity);
        if (known === undefined) rivals.set(identity, [record]);
        else known.push(record);
        last = other;
      }
    }
  }
  return { winners, losers, rivals };
}
