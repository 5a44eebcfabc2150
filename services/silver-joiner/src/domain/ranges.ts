import type { MemberRange } from './types.ts';

/** The same instants in as few ranges as possible, so that no row is loaded twice. All of one member. */
export function mergeRanges(ranges: readonly MemberRange[]): MemberRange[] {
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
