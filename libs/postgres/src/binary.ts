// Values as Postgres sends and takes them in binary: most significant byte first.

const TWO_32 = 4_294_967_296;
const POSTGRES_EPOCH_MS = 946_684_800_000;
// 4714-11-24 BC, before which Postgres has no instants, and the year 275760, after which a Date has none.
const MIN_INSTANT_MS = -210_866_803_200_000;
const MAX_INSTANT_MS = 8_640_000_000_000_000;

export function putInt4(buf: Uint8Array, at: number, value: number): void {
  buf[at] = (value >>> 24) & 0xff;
  buf[at + 1] = (value >>> 16) & 0xff;
  buf[at + 2] = (value >>> 8) & 0xff;
  buf[at + 3] = value & 0xff;
}

/** The 8 bytes of a timestamptz from epoch milliseconds, or from plus or minus Infinity. Throws RangeError for what is no instant. */
export function putInstant(buf: Uint8Array, at: number, ms: number): void {
  if (ms === Number.POSITIVE_INFINITY) {
    putInt4(buf, at, 0x7fffffff);
    putInt4(buf, at + 4, -1);
  } else if (ms === Number.NEGATIVE_INFINITY) {
    putInt4(buf, at, -2_147_483_648);
    putInt4(buf, at + 4, 0);
  } else {
    if (!Number.isInteger(ms) || ms < MIN_INSTANT_MS || ms > MAX_INSTANT_MS) {
      throw new RangeError(`timestamptz: ${ms} is not an instant in whole milliseconds that Postgres can store`);
    }
    // Microseconds exceed 2^53 after the year 2285: multiply in two halves, each of them exact.
    const since = ms - POSTGRES_EPOCH_MS;
    const high = Math.floor(since / TWO_32);
    const low = (since - high * TWO_32) * 1000;
    const carry = Math.floor(low / TWO_32);
    putInt4(buf, at, high * 1000 + carry);
    putInt4(buf, at + 4, low - carry * TWO_32);
  }
}

export function getInt4(buf: Uint8Array, at: number): number {
  return ((buf[at] ?? 0) << 24) | ((buf[at + 1] ?? 0) << 16) | ((buf[at + 2] ?? 0) << 8) | (buf[at + 3] ?? 0);
}

/** Throws RangeError for what a number cannot hold exactly. */
export function getInt8(buf: Uint8Array, at: number): number {
  const value = getInt4(buf, at) * TWO_32 + (getInt4(buf, at + 4) >>> 0);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${value} does not fit a number exactly (2^53)`);
  return value;
}

/** A timestamptz as epoch milliseconds (microseconds are cut towards the past), or as plus or minus Infinity. */
export function getInstant(buf: Uint8Array, at: number): number {
  const high = getInt4(buf, at);
  const low = getInt4(buf, at + 4) >>> 0;
  if (high === 0x7fffffff && low === 0xffffffff) return Number.POSITIVE_INFINITY;
  if (high === -2_147_483_648 && low === 0) return Number.NEGATIVE_INFINITY;
  // In two halves, as above: what is left of the high one goes to the low one.
  const highMs = Math.floor(high / 1000);
  const lowMs = Math.floor(((high - highMs * 1000) * TWO_32 + low) / 1000);
  return POSTGRES_EPOCH_MS + highMs * TWO_32 + lowMs;
}
