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
 * Every record after a position, in order of sending, for ever: the profiles, then hour by hour.
 * It holds the records that stories of earlier hours will still send, and nothing else.
 */
export function* streamFrom(world: World, position: StreamPosition): Generator<Emission[], never> {
  const skip = skipper(position);
  for (const chunk of profiles(world)) {
    const rest = skip(chunk);
    if (rest.length > 0) yield rest;
  }
  const needed = Math.floor((position.at - world.storySpanMs) / HOUR_MS);
  const pending = new Map<number, Emission[]>();
  for (let hour = Math.max(world.firstHour, needed); ; hour++) {
    for (const emission of world.simulateHour(hour)) {
      const due = Math.floor(emission.at / HOUR_MS);
      const list = pending.get(due);
      if (list === undefined) pending.set(due, [emission]);
      else list.push(emission);
    }
    // A story never sends before its hour, so this hour's records are all known now.
    const records = pending.get(hour) ?? [];
    pending.delete(hour);
    const rest = skip(records.sort((a, b) => a.at - b.at));
    if (rest.length > 0) yield rest;
  }
}

/** The position after a record, given the one before it. */
export function advance(position: StreamPosition, emission: Emission): StreamPosition {
  return { at: emission.at, sentAt: emission.at === position.at ? position.sentAt + 1 : 1 };
}

/** How many profiles the world begins with, and when the last of them is sent. */
function* profiles(world: World): Generator<Emission[]> {
  const end = world.firstHour * HOUR_MS;
  const { size } = world.roster;
  for (let from = 0; from < size; from += PROFILES_PER_CHUNK) {
    const count = Math.min(PROFILES_PER_CHUNK, size - from);
    yield Array.from({ length: count }, (_, i): Emission => {
      const at = end - size + from + i;
      return { source: 'members', event: world.baseProfile(from + i, at), at, damage: null, truth: null };
    });
  }
}

function skipper(position: StreamPosition): (chunk: Emission[]) => Emission[] {
  let same = 0;
  return (chunk) => {
    const last = chunk.at(-1);
    if (last === undefined || last.at < position.at) return [];
    const first = chunk[0];
    if (first !== undefined && first.at > position.at) return chunk;
    return chunk.filter((emission) => {
      if (emission.at !== position.at) return emission.at > position.at;
      same += 1;
      return same > position.sentAt;
    });
  };
}
