import { readFileSync } from 'node:fs';
import { CommandError } from '../command-error.ts';
import type { LocalTime } from '../import/local-time.ts';

interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** What `--from` says. */
export type Beginning =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'offsets'; readonly offsets: readonly (Place & { readonly offset: number })[] };

const PLACED = /^([A-Za-z0-9._-]+)\/(\d+)@(\d+)$/;
const DATED = /^\d{4}-\d{2}-\d{2}/;
const ZONED = /(?:[Zz]|[+-]\d{2}:?\d{2})$/;

/** `earliest`, a time (local where it has no offset), `topic/partition@offset,...`, or a JSON file with the latter. */
export function readBeginning(text: string, localTime: LocalTime): Beginning {
  if (text === 'earliest') return { kind: 'earliest' };
  if (DATED.test(text)) return { kind: 'time', ms: readTime(text, localTime) };
  if (text.includes('@')) return { kind: 'offsets', offsets: text.split(',').map(placed) };
  return {
    kind: 'offsets',
    offsets: Object.entries(offsetsFile(text)).map(([place, offset]) => placed(`${place}@${String(offset)}`)),
  };
}

/** Epoch milliseconds of a time, which is local where it has no offset. Throws CommandError (wrong usage) for anything else. */
export function readTime(text: string, localTime: LocalTime): number {
  const zoned = DATED.test(text) && ZONED.test(text) && text.includes(':');
  const ms = zoned ? Date.parse(text) : localTime.parse(text);
  if (ms === null || Number.isNaN(ms)) throw wrong(`${text} is no time: give one such as 2026-11-01T08:00:00Z`);
  return ms;
}

function placed(text: string): Place & { offset: number } {
  const [, topic, partition, offset] = PLACED.exec(text.trim()) ?? [];
  const place = { topic: topic ?? '', partition: Number(partition), offset: Number(offset) };
  if (topic === undefined || !Number.isSafeInteger(place.offset)) {
    throw wrong(`${text} is no place in a log: give topic/partition@offset, such as leakage.calls/3@1200`);
  }
  return place;
}

function offsetsFile(path: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw wrong(`${path} is neither earliest, nor a time, nor offsets, nor a JSON file of offsets (${reason})`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw wrong(`${path} must hold one object such as {"leakage.calls/3": 1200}`);
  }
  return { ...content };
}

/** How far the live service has read a partition, and from where. */
export interface LivePosition extends Place {
  readonly firstOffset: number;
  readonly nextOffset: number;
}

export interface Start extends Place {
  readonly fromOffset: number;
}

export interface Logs {
  readonly live: readonly LivePosition[];
  /** The first offset that Kafka still has of each partition. */
  readonly lows: readonly (Place & { readonly low: number })[];
  /** For a time: the first offset from then on, of each partition. */
  readonly since: readonly (Place & { readonly offset: number })[];
}

/**
 * Where a replay begins in each partition of which it reads anything: never before what live has read and Kafka still has. `removed`
 * counts offsets that live has read and Kafka has removed since: these cannot be replayed from it.
 */
export function startsOf(beginning: Beginning, { live, lows, since }: Logs): { starts: Start[]; removed: number } {
  const lowOf = indexed(lows, ({ low }) => low);
  const sinceOf = indexed(since, ({ offset }) => offset);
  const asked = beginning.kind === 'offsets' ? indexed(beginning.offsets, ({ offset }) => offset) : null;
  if (beginning.kind === 'offsets') checkKnown(beginning.offsets, live);
  let removed = 0;
  const starts = live.flatMap((position) => {
    const { topic, partition, firstOffset, nextOffset } = position;
    const low = lowOf(position);
    if (low === undefined)
      throw new CommandError(`Kafka has no partition ${partition} of ${topic}: was it created anew?`);
    const earliest = Math.max(low, firstOffset);
    if (beginning.kind === 'earliest') removed += Math.min(earliest, nextOffset) - firstOffset;
    const from = asked === null ? Math.max(earliest, sinceOf(position) ?? earliest) : asked(position);
    if (from === undefined) return [];
    if (asked !== null) checkThere(position, { from, earliest });
    return from < nextOffset ? [{ topic, partition, fromOffset: from }] : [];
  });
  return { starts, removed };
}

function checkKnown(offsets: readonly Place[], live: readonly Place[]): void {
  const known = indexed(live, () => true);
  const unknown = offsets.find((place) => known(place) === undefined);
  if (unknown === undefined) return;
  throw wrong(`the service has never read ${keyOf(unknown)}: look at its name and number, and at TOPIC_PREFIX`);
}

function checkThere(position: LivePosition, { from, earliest }: { from: number; earliest: number }): void {
  const place = keyOf(position);
  if (from < earliest) throw wrong(`${place} begins at offset ${earliest}: ${from} is not there (any more)`);
  if (from > position.nextOffset) {
    throw wrong(`${place} has been read up to offset ${position.nextOffset}: nothing from ${from} on can be replayed`);
  }
}

function indexed<T extends Place, V>(list: readonly T[], value: (item: T) => V): (place: Place) => V | undefined {
  const index = new Map(list.map((item) => [keyOf(item), value(item)]));
  return (place) => index.get(keyOf(place));
}

function keyOf({ topic, partition }: Place): string {
  return `${topic}/${partition}`;
}

function wrong(what: string): CommandError {
  return new CommandError(`--from: ${what}.`, 2);
}
