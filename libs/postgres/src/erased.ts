import { createHmac } from 'node:crypto';
import { pseudonymKeyId, SettingsError } from '@leakage/runtime';
import type { Queryable } from './connection.ts';

/** Hashes that a process holds in memory, 32 bytes each. */
export const ERASED_MAX = 1_000_000;
/** Members of whom it is remembered whether they were erased. */
const KNOWN_MAX = 50_000;
const HASH_BYTES = 32;

/** What a record says of itself, before anything is made of it. */
export interface About {
  readonly source: string;
  /** As decoded; null or empty: it does not say, and its key does. */
  readonly memberId: string | null | undefined;
  /** The id of the event or call, as sent. */
  readonly recordId: string | null | undefined;
  readonly key: Buffer | null;
}

export const memberHash = (key: string, memberId: string | Buffer): Buffer =>
  createHmac('sha256', key).update('erased member\0').update(memberId).digest();

export const recordHash = (key: string, source: string, id: string): Buffer =>
  createHmac('sha256', key).update(`erased record\0${source}\0`).update(id).digest();

/** Who was erased, and which events and calls were theirs: known by keyed hashes only. */
export class Erased {
  readonly #key: string;
  /** In ascending order, one behind the other. */
  readonly #hashes: Buffer;
  readonly #known = new Map<string, boolean>();

  constructor(key: string, hashes: Buffer) {
    this.#key = key;
    this.#hashes = hashes;
  }

  /** Whether nothing of a record may be kept but that it was there. A function of the record and of who was erased. */
  refuses({ source, memberId, recordId, key }: About): boolean {
    if (memberId ? this.hasMember(memberId) : this.hasKey(key)) return true;
    return Boolean(recordId) && this.#holds(recordHash(this.#key, source, recordId ?? ''));
  }

  hasMember(memberId: string): boolean {
    let erased = this.#known.get(memberId);
    if (erased === undefined) {
      if (this.#known.size === KNOWN_MAX) this.#known.clear();
      erased = this.#holds(memberHash(this.#key, memberId));
      this.#known.set(memberId, erased);
    }
    return erased;
  }

  /** Whether the key of a record, which should be its member's id, is that of one who was erased. */
  hasKey(key: Buffer | null): boolean {
    return key !== null && key.length > 0 && this.hasMember(key.toString());
  }

  #holds(hash: Buffer): boolean {
    let low = 0;
    let high = this.#hashes.length / HASH_BYTES;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = hash.compare(this.#hashes, middle * HASH_BYTES, (middle + 1) * HASH_BYTES);
      if (order === 0) return true;
      if (order < 0) high = middle;
      else low = middle + 1;
    }
    return false;
  }
}

interface Stored {
  readonly held: number;
  readonly keys: string[];
  readonly hashes: Buffer;
}

const LOAD = `
  select count(*) as held, array_agg(distinct e.key_id order by e.key_id) as keys, string_agg(e.hash, ''::bytea order by e.hash) as hashes
    from (select key_id, hash from ops.erased limit $1 + 1) e`;

/**
 * Everybody who was erased; null where nobody was, which costs nothing and needs no key. Throws SettingsError where the key is
 * missing or is another one: records of those who were erased could not be told from others.
 */
export async function loadErased(db: Queryable, key: () => string | null): Promise<Erased | null> {
  const [stored] = (await db.query<Stored>(LOAD, [ERASED_MAX])).rows;
  if (stored === undefined || stored.held === 0) return null;
  if (stored.held > ERASED_MAX) {
    throw new Error(`ops.erased holds more than ${ERASED_MAX} hashes, more than a process keeps in memory`);
  }
  return new Erased(mustFit(key(), stored.keys), stored.hashes);
}

/** The key, if it is the one by which members were erased. Throws SettingsError else. */
export function mustFit(key: string | null, keyIds: readonly string[]): string {
  const made = `members were erased by the key ${keyIds.join(' and ')}`;
  if (key === null) {
    throw new SettingsError([
      `${made}, and this process has none, so it could not refuse their records: set PSEUDONYM_KEY or PSEUDONYM_KEY_FILE to that key`,
    ]);
  }
  const has = pseudonymKeyId(key);
  if (keyIds.every((id) => id === has)) return key;
  throw new SettingsError([
    `${made}, and PSEUDONYM_KEY (or the file of PSEUDONYM_KEY_FILE) holds ${has}, by which their records could not be refused: set it to that key`,
  ]);
}
