import { HOUR_MS } from './calendar.ts';
import type { Emission } from './emission.ts';
import type { World } from './world.ts';

/** How far the stream was sent: everything before `at`, and so many records of exactly `at`. */
export interface StreamPosition {
  at: number;
  sentAt: number;
}

export const BEGINNING: StreamPosition = { at: Number.NEGATIVE_INFINITY, sentAt: 0 };

const PROFILES_PER_CHUNK = 2_000;

/**
 * Every record from an instant on, and some before it, in order of sending: the profiles, then hour by hour, for ever where the
 * world is not final. It holds the records that stories of earlier hours will still send, and nothing else.
 */
export function* streamFrom(world: World, from: number): Generator<Emission[]> {
  if (from < world.firstHour * HOUR_MS) yield* profiles(world);
  const needed = Math.floor((from - world.leakSpanMs) / HOUR_MS);
  const allNeeded = Math.floor((from - world.otherSpanMs) / HOUR_MS);
  const pending = new Map<number, Emission[]>();
  const end = world.finalAt ?? Number.POSITIVE_INFINITY;
  for (let hour = Math.max(world.firstHour, needed); hour * HOUR_MS <= end; hour++) {
    for (const emission of world.simulateHour(hour, { longOnly: hour < allNeeded })) {
      const due = Math.floor(emission.at / HOUR_MS);
      const list = pending.get(due);
      if (list === undefined) pending.set(due, [emission]);
      else list.push(emission);
    }
    // A story never sends before its hour, so this hour's records are all known now.
    const records = pending.get(hour) ?? [];
    pending.delete(hour);
    if (hour >= from / HOUR_MS - 1 && records.length > 0) yield records.sort((a, b) => a.at - b.at);
  }
}

/** The position after a record, given the one before it. */
export function advance(position: StreamPosition, emission: Emission): StreamPosition {
  return { at: emission.at, sentAt: emission.at === position.at ? position.sentAt + 1 : 1 };
}

/** A millisecond apart; the last of them is sent just before the first hour. */
function* profiles(world: World): Generator<Emission[]> {
  const begin = world.firstHour * HOUR_MS - world.roster.size;
  let chunk: Emission[] = [];
  let index = 0;
  for (const profile of world.profiles()) {
    // A final world has new members too, which no instant before the first hour is left for.
    const at = begin + Math.min(index, world.roster.size - 1);
    chunk.push({ source: 'members', event: { ...profile, emitted_at: at }, at, damage: null, truth: null });
    index += 1;
    if (chunk.length === PROFILES_PER_CHUNK) {
      yield chunk;
      chunk = [];
    }
  }
  yield chunk;
}
