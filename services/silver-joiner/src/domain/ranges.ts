import type { MemberRange } from './types.ts';

/** The first index whose instant is not below `bound`; `instantOf` ascends. */
function lowerBound<T>(ordered: readonly T[], bound: number, instantOf: (item: T) => number): number {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = ordered[middle];
    if (item !== undefined && instantOf(item) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The part of an ordered list that lies in a closed interval: a member may have very many events, a window few. */
export function within<T>(
  ordered: readonly T[],
  { from, to }: { readonly from: number; readonly to: number },
  instantOf: (item: T) => number,
): readonly T[] {
  const start = lowerBound(ordered, from, instantOf);
  const end = lowerBound(ordered, to + 1, instantOf);
  return start === 0 && end === ordered.length ? ordered : ordered.slice(start, end);
}

/** Does any of the ordered instants lie in a closed interval? */
export function anyWithin(ordered: readonly number[], from: number, to: number): boolean {
  const first = ordered[lowerBound(ordered, from, (instant) => instant)];
  return first !== undefined && first <= to;
}

/** The same instants in as few ranges as possible, so that no row is loaded twice. All of one member. */
export function mergeRanges(ranges: readonly MemberRange[]): MemberRange[] {
  if (ranges.length < 2) return ranges.slice();
  const sorted = ranges.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0));
  const merged: { member_id: string; from: number; to: number }[] = [];
  for (const range of sorted) {
    const last = merged.at(-1);
    // Instants are whole milliseconds: a range that begins right after another one continues it.
    if (last !== undefined && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
    else merged.push({ ...range });
  }
  return merged;
}
