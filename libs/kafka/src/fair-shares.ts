/**
 * How many of `available` each takes when `limit` are taken in all: equal parts, and what one cannot use goes to the others.
 * The indivisible rest goes round from index `first`, so that over several batches nobody is preferred.
 */
export function fairShares(available: readonly number[], limit: number, first: number): number[] {
  const shares = available.map(() => 0);
  let open = available.map((_, at) => at).filter((at) => (available[at] ?? 0) > 0);
  let left = limit;
  while (left >= open.length && open.length > 0) {
    const each = Math.floor(left / open.length);
    const unsatisfied: number[] = [];
    for (const at of open) {
      const wanted = (available[at] ?? 0) - (shares[at] ?? 0);
      const given = Math.min(each, wanted);
      shares[at] = (shares[at] ?? 0) + given;
      left -= given;
      if (given < wanted) unsatisfied.push(at);
    }
    open = unsatisfied;
  }
  const turn = open.filter((at) => at >= first).concat(open.filter((at) => at < first));
  for (const at of turn.slice(0, left)) shares[at] = (shares[at] ?? 0) + 1;
  return shares;
}
