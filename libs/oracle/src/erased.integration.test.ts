import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createWorld, type Delivered, type World } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(async () => await world.close());

const failure = (nr: number): Delivered => ({
  source: 'journeys',
  event: {
    event_id: `event ${nr}`,
    member_id: 'M',
    session_id: `${nr}`,
    timestamp: `2026-03-02T1${nr}:00:00Z`,
    journey_type: 'billing',
    action: 'error',
  },
});
const tombstone: Delivered = { source: 'journeys', event: {}, decodeError: 'erased' };

/** Offset 2 of four was erased when silver had kept it. */
beforeEach(async () => {
  await world.reset();
  await world.deliver([failure(1), failure(2), tombstone, failure(3)]);
  await world.adopt();
});

const differing = async () =>
  (await world.verify()).checks.filter(({ differences }) => differences > 0).map(({ name }) => name);
const quarantine = (offset: number, reason: string) =>
  world.run(
    `insert into silver_1.quarantine_record (source, kafka_topic, kafka_partition, kafka_offset, received_at, reasons)
     values ('journeys', 'leakage.journeys', 0, $1, now(), array[$2])`,
    [offset, reason],
  );
const countQuarantined = () =>
  world.run(`update ops.position set quarantined = 1, accepted = accepted - 1
              where pipeline = 'silver_1' and topic = 'leakage.journeys'`);

test('of what was erased, silver may have kept it', async () => {
  expect(await differing()).toEqual([]);
});

test.each(['erased', 'missing:member_id', 'json'])(
  'or have quarantined it as %s, if that is how it was counted',
  async (reason) => {
    await quarantine(2, reason);
    expect(await differing()).toContain('conservation: every record had one outcome');
    await countQuarantined();
    expect(await differing()).toEqual([]);
  },
);

test('nothing else may be in quarantine as erased', async () => {
  await quarantine(3, 'erased');
  await countQuarantined();
  expect(await differing()).toEqual(
    expect.arrayContaining([
      'conservation: every record had one outcome',
      'quarantine: the records and the named reasons',
    ]),
  );
});

test('a broken record is not in quarantine as erased', async () => {
  await world.deliver([{ source: 'journeys', event: {}, decodeError: 'json' }]);
  await world.adopt();
  await world.run(`update silver_1.quarantine_record set reasons = array['erased'] where kafka_offset = 4`);
  expect(await differing()).toEqual(['quarantine: the records and the named reasons']);
});

test('watermarks may be later than what is left, where something was erased, and never earlier', async () => {
  await world.run(`update ops.shard set wm_digital = '2026-03-02T20:00:00Z' where shard = 0`);
  expect(await differing()).toEqual([]);
  await world.run(`update ops.shard set wm_digital = '2026-03-02T12:00:00Z'`);
  expect(await differing()).toEqual(['watermarks']);
  await world.reset();
  await world.deliver([failure(1)]);
  await world.adopt();
  await world.run(`update ops.shard set wm_digital = '2026-03-02T20:00:00Z' where shard = 0`);
  expect(await differing()).toContain('watermarks');
});
