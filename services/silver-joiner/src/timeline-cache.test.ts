import { beforeEach, describe, expect, test } from 'vitest';
import type { StoredCall } from './domain/plan.ts';
import type { Call, CallFact, DecisiveEvent, JourneyEvent, MemberRange } from './domain/types.ts';
import { lockedShard } from './testing/locked-shard.ts';
import { TimelineCache } from './timeline-cache.ts';

const connection = {};
const skew = 5 * 60_000;
const shardOf = (memberId: string): number => Number(memberId.at(-1));

const event = (event_id: string, timestamp: number, more: Partial<JourneyEvent> = {}): JourneyEvent => ({
  event_id,
  member_id: 'a1',
  session_id: 's',
  timestamp,
  journey_type: 'billing',
  action: 'error',
  device_type: null,
  error_code: null,
  error_message: null,
  revision: 0,
  deleted: false,
  emitted_at: timestamp,
  app_version: null,
  ...more,
});

const call = (call_id: string, call_timestamp: number, more: Partial<Call> = {}): Call => ({
  call_id,
  member_id: 'a1',
  call_timestamp,
  ivr_path: null,
  handle_time_seconds: null,
  agent_id: null,
  call_reason: null,
  sentiment_e4: null,
  resolution_status: null,
  revision: 0,
  deleted: false,
  emitted_at: call_timestamp,
  ...more,
});

const factOf = ({ call_id, member_id }: Call): CallFact => ({ call_id, member_id }) as CallFact;
const range = (from: number, to: number, member_id = 'a1'): MemberRange => ({ member_id, from, to });
const always = range(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
const added = <T>(...rows: T[]) => rows.map((after) => ({ before: null, after }));

let cache: TimelineCache;
/** Ranges that had to be read. */
let read: MemberRange[];

beforeEach(() => {
  cache = new TimelineCache(shardOf);
  read = [];
});

async function events(...ranges: MemberRange[]): Promise<string[]> {
  const found = await cache.events(ranges, async (unknown): Promise<DecisiveEvent[]> => {
    read.push(...unknown);
    return [];
  });
  return found.map(({ event_id }) => event_id).sort();
}

async function calls(...ranges: MemberRange[]): Promise<string[]> {
  const found = await cache.calls(ranges, async (unknown): Promise<StoredCall[]> => {
    read.push(...unknown);
    return [];
  });
  return found.map(({ call: { call_id }, fact }) => (fact === null ? call_id : `${call_id} with its fact`)).sort();
}

describe('a shard that nothing was ever written to', () => {
  beforeEach(() => {
    cache.begin(connection, [lockedShard(1, 0)]);
  });

  test('is known as a whole', async () => {
    cache.merged({ journeys: added(event('e1', 10), event('e2', 20), event('e3', 30)), calls: added(call('c1', 20)) });
    expect(await events(range(15, 30))).toEqual(['e2', 'e3']);
    expect(await events(always)).toEqual(['e1', 'e2', 'e3']);
    expect(await events(range(0, 99, 'b1'))).toEqual([]);
    expect(await calls(always)).toEqual(['c1']);
    expect(read).toEqual([]);
  });

  test('has the decisive events that were not withdrawn, in their newest version, with the member that has them', async () => {
    const first = event('e1', 10);
    cache.merged({ journeys: added(first, event('e2', 20), event('view', 20, { action: 'page_view' })), calls: [] });
    const later = event('e1', 50, { revision: 1 });
    cache.merged({ journeys: [{ before: first, after: later }], calls: [] });
    expect(await events(range(0, 40))).toEqual(['e2']);
    expect(await events(range(50, 50))).toEqual(['e1']);
    const elsewhere = event('e1', 50, { revision: 2, member_id: 'b1' });
    cache.merged({ journeys: [{ before: later, after: elsewhere }], calls: [] });
    expect([await events(always), await events({ ...always, member_id: 'b1' })]).toEqual([['e2'], ['e1']]);
    cache.merged({ journeys: [{ before: elsewhere, after: { ...elsewhere, deleted: true } }], calls: [] });
    expect(await events({ ...always, member_id: 'b1' })).toEqual([]);
  });

  test('has calls with the facts that were written; a call that moves has none yet', async () => {
    const one = call('c1', 10);
    cache.merged({ journeys: [], calls: added(one, call('c2', 20)) });
    expect(await calls(always)).toEqual(['c1', 'c2']);
    cache.written({ newFacts: [factOf(one)], changedFacts: [] });
    expect(await calls(always)).toEqual(['c1 with its fact', 'c2']);
    const corrected = { ...one, revision: 1, call_timestamp: 11 };
    cache.merged({ journeys: [], calls: [{ before: one, after: corrected }] });
    expect(await calls(range(11, 11))).toEqual(['c1 with its fact']);
    const moved = { ...corrected, member_id: 'b1' };
    cache.merged({ journeys: [], calls: [{ before: corrected, after: moved }] });
    expect([await calls(always), await calls({ ...always, member_id: 'b1' })]).toEqual([['c2'], ['c1']]);
    cache.merged({ journeys: [], calls: [{ before: moved, after: { ...moved, deleted: true } }] });
    expect(await calls({ ...always, member_id: 'b1' })).toEqual([]);
  });
});

test('of a shard that was written to, what lies behind its watermark is read', async () => {
  cache.begin(connection, [lockedShard(1, 5, 1_000)]);
  cache.merged({ journeys: added(event('old', 1_000), event('new', 1_001 + skew)), calls: [] });
  await events(range(1_000, 2_000));
  await events(range(1_000 + skew, 9e9));
  expect(read).toEqual([range(1_000, 2_000), range(1_000 + skew, 9e9)]);
  expect(await events(range(1_001 + skew, 9e9), range(0, 1))).toEqual(['new']);
  expect(read).toHaveLength(3);
});

test('of a shard that is not locked, everything is read', async () => {
  cache.begin(connection, [lockedShard(1, 0)]);
  await events(range(0, 1, 'a2'));
  expect(read).toEqual([range(0, 1, 'a2')]);
});

test('when there are too many, the older half goes, of every shard, and is read again when it is asked for', async () => {
  cache = new TimelineCache(shardOf, { events: 5, calls: 5 });
  cache.begin(connection, [lockedShard(1, 0), lockedShard(2, 0)]);
  const other = event('e7', 70, { member_id: 'a2' });
  cache.merged({ journeys: added(event('e1', 10), event('e2', 20), event('e3', 30), event('e4', 40)), calls: [] });
  cache.merged({ journeys: added(event('e5', 50), other), calls: added(call('c1', 10)) });
  cache.confirm(new Set([1, 2]));
  cache.begin(connection, [lockedShard(1, 1), lockedShard(2, 1)]);
  expect(await events(range(30, 99))).toEqual(['e3', 'e4', 'e5']);
  expect(await calls(always)).toEqual(['c1']);
  expect(read).toEqual([]);
  await events(range(29, 99), range(70, 99, 'a2'));
  expect(read).toEqual([range(29, 99), range(70, 99, 'a2')]);
  // Older ones are not taken up any more.
  cache.merged({ journeys: added(event('late', 29)), calls: [] });
  expect(await events(range(30, 99))).toEqual(['e3', 'e4', 'e5']);
});
