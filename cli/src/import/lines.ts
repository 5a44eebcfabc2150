import { createReadStream } from 'node:fs';

/** The longest line of a file; a record must fit into Kafka's message of one megabyte. */
export const LINE_BYTES_MAX = 512 * 1024;

const NEWLINE = 0x0a;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export interface Line {
  /** From 1. */
  number: number;
  /** Without the line feed; null for a line that is too long to be held. */
  bytes: Buffer | null;
}

/** The lines of a file as bytes, in memory one chunk and one line at a time. `onBytes` is told what was read. */
export async function* linesOf(
  path: string,
  onBytes: (bytes: number) => void = () => undefined,
): AsyncGenerator<Line[]> {
  let number = 0;
  let rest: Buffer | null = Buffer.alloc(0);
  const lineOf = (bytes: Buffer | null): Line => {
    number += 1;
    const fits = bytes !== null && bytes.length <= LINE_BYTES_MAX;
    return { number, bytes: fits ? (number === 1 ? withoutBom(bytes) : bytes) : null };
  };
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    onBytes(chunk.length);
    const lines: Line[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      const piece = chunk.subarray(from, at);
      lines.push(lineOf(rest === null ? null : rest.length === 0 ? piece : Buffer.concat([rest, piece])));
      rest = Buffer.alloc(0);
      from = at + 1;
    }
    // Of a line that is too long nothing is kept, whatever its length.
    if (rest !== null) rest = Buffer.concat([rest, chunk.subarray(from)]);
    if (rest !== null && rest.length > LINE_BYTES_MAX) rest = null;
    if (lines.length > 0) yield lines;
  }
  if (rest === null || rest.length > 0) yield [lineOf(rest)];
}

function withoutBom(bytes: Buffer): Buffer {
  return bytes.subarray(0, BOM.length).equals(BOM) ? bytes.subarray(BOM.length) : bytes;
}
