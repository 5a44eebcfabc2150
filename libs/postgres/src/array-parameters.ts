import { putInstant, putInt4 } from './binary.ts';

const TEXT_OID = 25;
const INT4_OID = 23;
const TIMESTAMPTZ_OID = 1184;
const HEADER_BYTES = 20;

// pg writes an array parameter as text, quoted value by value, and Postgres reads it the same way. A Buffer it sends as it is,
// in binary; the statement must say the type ($1::text[]), because a Buffer says none.

/** A parameter of type text[]. Strings with U+0000 throw RangeError: Postgres has no such text. */
export function textArray(values: readonly string[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += 4 + value.length * 3;
  const buf = begin(TEXT_OID, values.length, bytes);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (value.includes('\0')) throw new RangeError('text: U+0000 cannot be stored in Postgres');
    const length = buf.write(value, at + 4, 'utf8');
    putInt4(buf, at, length);
    at += 4 + length;
  }
  return buf.subarray(0, at);
}

/** A parameter of type int4[]. */
export function int4Array(values: readonly number[]): Buffer {
  return fixedArray(INT4_OID, { values, width: 4, put: putInt4 });
}

/** A parameter of type timestamptz[], from epoch milliseconds or plus or minus Infinity. */
export function instantArray(values: readonly number[]): Buffer {
  return fixedArray(TIMESTAMPTZ_OID, { values, width: 8, put: putInstant });
}

function fixedArray(
  elementOid: number,
  o: { values: readonly number[]; width: number; put: (buf: Uint8Array, at: number, value: number) => void },
): Buffer {
  const { values, width, put } = o;
  const buf = begin(elementOid, values.length, values.length * (4 + width));
  let at = HEADER_BYTES;
  for (const value of values) {
    putInt4(buf, at, width);
    put(buf, at + 4, value);
    at += 4 + width;
  }
  return buf;
}

/** One dimension from 1 on, without nulls. */
function begin(elementOid: number, length: number, bytes: number): Buffer {
  const buf = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  [1, 0, elementOid, length, 1].forEach((value, i) => {
    putInt4(buf, i * 4, value);
  });
  return buf;
}
