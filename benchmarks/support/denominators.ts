import { randomUUID } from 'node:crypto';
import { SOURCES, topicName } from '@leakage/schemas';
import type { KafkaConfig } from 'kafkajs';
import kafkajs from 'kafkajs';
import type { BenchStack } from './bench-stack.ts';

/** What the same machine does with the same records at the least: a speed is given as a share of it. */
export interface Denominator {
  readonly perSecond: number;
  /** CPU seconds per million records. */
  readonly cpu: number;
}

const million = 1_000_000;

/** Reads every record of the topics with kafkajs and does nothing with them. */
export async function rawConsume(stack: BenchStack, records: number): Promise<Denominator> {
  const config: KafkaConfig = {
    clientId: 'raw-consume',
    brokers: stack.brokers.split(','),
    logLevel: kafkajs.logLevel.NOTHING,
  };
  const consumer = new kafkajs.Kafka(config).consumer({
    groupId: `raw-${randomUUID()}`,
    maxBytesPerPartition: 1024 * 1024,
    maxWaitTimeInMs: 100,
  });
  await consumer.connect();
  await consumer.subscribe({ topics: SOURCES.map((source) => topicName(stack.prefix, source)), fromBeginning: true });
  const done = Promise.withResolvers<void>();
  let began: { readonly ms: number; readonly cpu: number; readonly seen: number } | null = null;
  let seen = 0;
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: 36,
    eachBatch: async ({ batch }) => {
      seen += batch.messages.length;
      // Joining the group is not reading.
      began ??= { ms: performance.now(), cpu: cpuSeconds(), seen };
      if (seen >= records) done.resolve();
    },
  });
  await done.promise;
  const from = began ?? { ms: 0, cpu: 0, seen: 0 };
  const read = seen - from.seen;
  const figures = {
    perSecond: (read * 1000) / (performance.now() - from.ms),
    cpu: ((cpuSeconds() - from.cpu) * million) / read,
  };
  await consumer.disconnect();
  return figures;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / million;
}

/** The tables of one generation that the pipeline fills, by the session that fills its half of them here. */
async function filledTables({ pool }: BenchStack, generation: number): Promise<string[][]> {
  const { rows } = await pool.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('bronze', 'silver_' || $1::int)
        and c.relname not in ('change_log', 'migrations')
      order by 1, 2`,
    [generation],
  );
  const of = (schema: RegExp): string[] =>
    rows.filter((row) => schema.test(row.schema)).map((row) => `${row.schema}."${row.name}"`);
  return [of(/^bronze$/), of(/^silver/)];
}

/**
 * The rows that the pipeline has written, once more, by COPY from a file of the server in binary, into empty tables with the
 * same indexes: bronze and silver at the same time, as two sessions, one statement for each table.
 */
export async function rawCopy(
  stack: BenchStack,
  records: number,
  { generation, bronze }: { readonly generation: number; readonly bronze: boolean } = { generation: 1, bronze: true },
): Promise<Denominator> {
  const { pool } = stack;
  const halves = (await filledTables(stack, generation)).slice(bronze ? 0 : 1);
  await pool.query('create schema raw_copy');
  const copies = await Promise.all(
    halves.map((tables, half) =>
      Promise.all(
        tables.map(async (table, nr) => {
          const target = `raw_copy.t_${half}_${nr}`;
          const file = await fileOfServer(stack, `raw_copy_${half}_${nr}`);
          await pool.query(`copy (select * from ${table}) to '${file}' (format binary)`);
          await pool.query(`create table ${target} (like ${table} including all)`);
          return `copy ${target} from '${file}' (format binary)`;
        }),
      ),
    ),
  );
  await pool.query('checkpoint');
  const before = { ms: performance.now(), cpu: postgresCpu(stack) };
  await Promise.all(
    copies.map(async (statements) => {
      for (const statement of statements) await pool.query(statement);
    }),
  );
  const figures = {
    perSecond: (records * 1000) / (performance.now() - before.ms),
    cpu: ((postgresCpu(stack) - before.cpu) * million) / records,
  };
  await pool.query('drop schema raw_copy cascade');
  return figures;
}

/** Reads every record of bronze, as a rebuild needs it, and does nothing with it: the server alone. */
export async function rawRead(stack: BenchStack, records: number): Promise<Denominator> {
  const before = { ms: performance.now(), cpu: postgresCpu(stack) };
  for (const table of ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw']) {
    await stack.pool.query(
      `copy (select kafka_partition, kafka_offset, kafka_timestamp, kafka_key, payload from bronze.${table})
         to '/dev/null' (format binary)`,
    );
  }
  return {
    perSecond: (records * 1000) / (performance.now() - before.ms),
    cpu: ((postgresCpu(stack) - before.cpu) * million) / records,
  };
}

async function fileOfServer({ pool }: BenchStack, name: string): Promise<string> {
  const { rows } = await pool.query<{ folder: string }>(`select current_setting('data_directory') as folder`);
  return `${(rows[0]?.folder ?? '').replaceAll("'", "''")}/${name}`;
}

function postgresCpu(stack: BenchStack): number {
  return stack.usage().get('Postgres')?.cpuSeconds ?? 0;
}
