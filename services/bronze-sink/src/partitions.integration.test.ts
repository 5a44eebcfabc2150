import { createPool, inTransaction, migrate, migrateOps, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepPartitions } from './partitions.ts';

const log = createLogger({ service: 'test', level: 'silent' });
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  await migrateOps({ url: database.url, log });
  const directory = new URL('../migrations/', import.meta.url);
  await migrate({ url: database.url, schemas: ['bronze'], directory, log });
  pool = createPool({ url: database.url, applicationName: 'test', max: 6, lockTimeoutMs: 100, log });
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

const keep = () => keepPartitions({ pool, schema: 'bronze', log, todayRowsMax: 500 });
const insert = (at: string, offset: number) =>
  pool.query(
    `insert into bronze.call_logs_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, ingestion_timestamp)
     values ('t', 0, $1, now(), ${at})`,
    [offset],
  );

async function places(): Promise<string[]> {
  const { rows } = await pool.query<{ offset: number; place: string }>(
    `select kafka_offset as "offset", replace(tableoid::regclass::text, 'bronze.call_logs_raw_', '') as place
       from bronze.call_logs_raw order by kafka_offset`,
  );
  return rows.map((row) => `${row.offset} ${row.place}`);
}

const dayName = async (days: number) => {
  const { rows } = await pool.query<{ name: string }>(
    `select 'p' || to_char(current_date + $1::int, 'YYYYMMDD') as name`,
    [days],
  );
  return rows[0]?.name ?? '';
};

test('several processes at once make today and three days more, for every table', async () => {
  await Promise.all([keep(), keep(), keep()]);
  const { rows } = await pool.query(
    `select count(*) from pg_inherits where inhparent in ('bronze.call_logs_raw'::regclass,
       'bronze.digital_journeys_raw'::regclass, 'bronze.member_profiles_raw'::regclass)`,
  );
  expect(rows).toEqual([{ count: 3 * (1 + 4) }]);
});

test('a row goes to its day, and one without a day to the default partition, from where it is moved', async () => {
  await insert('now()', 1);
  await insert(`now() - interval '10 days'`, 2);
  await insert(`now() + interval '30 days'`, 3);
  expect(await places()).toEqual([`1 ${await dayName(0)}`, '2 default', '3 default']);
  await keep();
  const moved = [`1 ${await dayName(0)}`, `2 ${await dayName(-10)}`, `3 ${await dayName(30)}`];
  expect(await places()).toEqual(moved);
  await keep();
  expect(await places()).toEqual(moved);
});

test('the partition of a day whose rows lie in the default partition already is made all the same', async () => {
  await pool.query(`drop table bronze.call_logs_raw_${await dayName(1)}`);
  await insert(`now() + interval '1 day'`, 4);
  await keep();
  expect((await places()).at(-1)).toBe(`4 ${await dayName(1)}`);
});

test('a partition that cannot be made now does not keep the others from being made', async () => {
  await pool.query(
    `drop table bronze.call_logs_raw_${await dayName(2)}, bronze.member_profiles_raw_${await dayName(2)}`,
  );
  await inTransaction(pool, async (reader) => {
    await reader.query('select from bronze.call_logs_raw_default');
    await expect(keep()).rejects.toThrow(/1 partitions of bronze could not be made/);
  });
  const names = [`bronze.call_logs_raw_${await dayName(2)}`, `bronze.member_profiles_raw_${await dayName(2)}`];
  const there = async () =>
    (await pool.query('select to_regclass(n) is not null as there from unnest($1::text[]) as s (n)', [names])).rows;
  expect(await there()).toEqual([{ there: false }, { there: true }]);
  await keep();
  expect(await there()).toEqual([{ there: true }, { there: true }]);
});

test('a crowd of rows of today waits in the default partition until the day is over', async () => {
  await pool.query(`drop table bronze.call_logs_raw_${await dayName(0)}`);
  await pool.query(
    `insert into bronze.call_logs_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp)
     select 't', 0, n, now() from generate_series(1, 501) as s (n)`,
  );
  await keep();
  const crowd = await pool.query('select count(*) from bronze.call_logs_raw_default');
  expect(crowd.rows).toEqual([{ count: 501 }]);
  await pool.query(
    `update bronze.call_logs_raw_default set ingestion_timestamp = ingestion_timestamp - interval '1 day'`,
  );
  await keep();
  const moved = await pool.query(`select count(*) from bronze.call_logs_raw_${await dayName(-1)}`);
  expect(moved.rows).toEqual([{ count: 501 }]);
});
