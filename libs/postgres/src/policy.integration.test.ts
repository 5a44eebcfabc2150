import { createLogger, sleep } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { PolicyChangedError } from './errors.ts';
import { ensureGeneration, type Rules } from './generations.ts';
import { migrateOps } from './migrate.ts';
import { PolicyInForce } from './policy.ts';
import { createPool, type Pool } from './pool.ts';
import { addOutcomes, advance, positionStore } from './positions.ts';
import { inTransaction } from './transaction.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const reasons = { journeyTypes: [], reasons: {}, tokens: {} };
const rules: Rules = { windowMs: 1, timeZone: 'UTC', repeatScope: 'same_issue', reasons };
const place = { topic: 't.calls', partition: 0 };
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  await migrateOps({ url: database.url, log });
  pool = createPool({ url: database.url, applicationName: 'test', log });
  await ensureGeneration(pool, 1, { rules, rulesVersion: 1, shards: 12 });
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

beforeEach(async () => {
  await pool.query('delete from ops.position');
  await positionStore(pool, 'silver_1').load([{ ...place, lowOffset: 0 }], 'cluster');
});

async function move(judgedBy: number, between: () => Promise<void> = async () => undefined): Promise<void> {
  await inTransaction(pool, async (tx) => {
    const to = { expectedOffset: 0, nextOffset: 2, lastOffset: 1, lastFingerprint: 7, holes: 0 };
    await advance(tx, 'silver_1', [{ ...place, ...to }]);
    await between();
    const counts = { accepted: 2, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 0 };
    await addOutcomes(tx, 'silver_1', { counts: [{ ...place, ...counts }], judgedBy });
  });
}

async function change(): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query('select from ops.position for update');
    await tx.query('update ops.policy set version = version + 1');
  });
}

const nextOffset = async () => (await pool.query('select next_offset::int as n from ops.position')).rows[0]?.n;

test('what was judged by a policy that holds no longer is not applied, and is after a reload', async () => {
  const policy = await PolicyInForce.open(pool, 1);
  await change();
  await expect(move(policy.now.version)).rejects.toThrow(PolicyChangedError);
  expect(await nextOffset()).toBe(0);
  await policy.reload();
  await move(policy.now.version);
  expect(await nextOffset()).toBe(2);
});

test('a change waits for the batch that has moved its positions, and the batch is judged by what held before', async () => {
  const policy = await PolicyInForce.open(pool, 1);
  let changing = Promise.resolve();
  let changed = false;
  await move(policy.now.version, async () => {
    changing = change().then(() => {
      changed = true;
    });
    await sleep(100);
    expect(changed).toBe(false);
  });
  await changing;
  expect(await nextOffset()).toBe(2);
});

test('the horizon of a generation comes with the policy, that of another one does not', async () => {
  const instant = Date.UTC(2026, 0, 2, 6);
  await pool.query('insert into ops.horizon (generation, refused_before, kept_from) values (1, $1, $1)', [
    new Date(instant).toISOString(),
  ]);
  expect((await PolicyInForce.open(pool, 1)).now.refusedBefore).toBe(instant);
  expect((await PolicyInForce.open(pool, 2)).now.refusedBefore).toBeNull();
  expect((await PolicyInForce.open(pool, null)).now.refusedBefore).toBeNull();
});
