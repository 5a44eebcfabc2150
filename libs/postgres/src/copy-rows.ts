import type { CopyEncoder } from './copy-encoder.ts';

/**
 * The data of a COPY without some of its rows, given by their numbers in ascending order. Nothing is copied: what is left
 * are parts of the same chunks. `rowEnds` is the encoder's.
 */
export function withoutRows(
  data: readonly Buffer[],
  rowEnds: CopyEncoder['rowEnds'],
  left: readonly number[],
): readonly Buffer[] {
  if (left.length === 0) return data;
  const rest: Buffer[] = [];
  let next = 0;
  let offset = 0;
  for (const chunk of data) {
    const end = offset + chunk.length;
    let from = offset;
    for (; next < left.length; next++) {
      const row = left[next] ?? 0;
      const rowFrom = (row === 0 ? FIRST_ROW : rowEnds[row - 1]) ?? 0;
      const rowTo = rowEnds[row] ?? 0;
      if (rowFrom >= end) break;
      if (rowFrom > from) rest.push(chunk.subarray(from - offset, rowFrom - offset));
      from = Math.min(rowTo, end);
      // The row goes on in the next chunk.
      if (rowTo > end) break;
    }
    if (from < end) rest.push(chunk.subarray(from - offset));
    offset = end;
  }
  return rest;
}

/** Behind COPY's signature, flags and header extension. */
const FIRST_ROW = 19;
