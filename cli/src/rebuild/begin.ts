import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Generation, inTransaction, loadGeneration, type Pool, type Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { databaseUrl } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { converge } from '../init/converge.ts';
import type { Schemas } from '../init/grants.ts';
import { existingRoles } from '../init/roles.ts';
import { prepareGeneration } from '../service-once.ts';
import type { Part, PartPosition } from './part.ts';
import { type KafkaLogs, placePart } from './place-part.ts';
import { type RuleOrders, reasonFileText, ruleVariables } from './rules.ts';
import { type BronzePosition, type ChosenSource, chooseSource, type WantedSource } from './source.ts';

export interface RebuildOrder {
  readonly rules: RuleOrders;
  readonly source: WantedSource;
  readonly purpose: Generation['purpose'];
  /** Null: everything. One that is made of a part can only be a what-if. */
  readonly part: Part | null;
  readonly sharePercent: number;
  readonly recordsPerSecond: number | null;
  readonly note: string | null;
}

export interface BeginOptions {
  readonly pool: Pool;
  /** Where the services find Kafka and Postgres, as far as it does not stand in this process's environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly schemas: Schemas;
  readonly rolePrefix: string;
  /** Null: Kafka does not answer. */
  readonly logs: KafkaLogs | null;
  readonly order: RebuildOrder;
}

export interface Begun extends ChosenSource {
  readonly generation: number;
}

/** One command makes a generation at a time: both would take the same number. */
const BEGIN_LOCK = 4_718_266;

/**
 * Makes a new generation with the rules of the active one, but for what was ordered, ready to be built by processes that look
 * into ops.generation. Interrupted, it leaves at most a generation that is being prepared, which nobody works on.
 */
export async function beginRebuild(o: BeginOptions): Promise<Begun> {
  const { pool, order } = o;
  const base = await loadGeneration(pool, await existingGeneration(pool));
  if (base === null) throw new CommandError('The active generation has disappeared: try again.');
  const bronze = await bronzePositions(pool);
  const positions = await positionsOf(o, bronze);
  const chosen = chooseSource(order.source, toBeRead(positions, bronze), (await o.logs?.ends()) ?? null);
  return await pool.withConnection(async (lock) => {
    await lock.query('select pg_advisory_lock($1)', [BEGIN_LOCK]);
    try {
      const generation = await nextNumber(pool);
      await prepare(o, { generation, base });
      await inTransaction(pool, (tx) => release(tx, { ...o, generation, chosen, positions }));
      return { generation, ...chosen };
    } finally {
      if (lock.lost === null) await lock.query('select pg_advisory_unlock($1)', [BEGIN_LOCK]);
    }
  });
}

async function bronzePositions(db: Queryable): Promise<BronzePosition[]> {
  const { rows } = await db.query<BronzePosition>(
    `select topic, partition, first_offset as "firstOffset", next_offset as "nextOffset"
       from ops.position where pipeline = 'bronze' order by topic, partition`,
  );
  if (rows.length > 0) return rows;
  throw new CommandError(
    'Bronze has read nothing yet, so there is nothing to build from: start the pipeline with npm start.',
  );
}

/** Where bronze began: what Kafka forgets between now and the first record is then missed loudly, never skipped. Or where a part lies. */
async function positionsOf(o: BeginOptions, bronze: readonly BronzePosition[]): Promise<readonly PartPosition[]> {
  const { environment, schemas, logs, order } = o;
  if (order.part === null) return bronze.map((one) => ({ ...one, untilOffset: null }));
  const url = environment.DATABASE_URL ?? databaseUrl();
  return await placePart(order.part, { databaseUrl: url, schema: schemas.bronze, bronze, logs });
}

/** What of bronze lies within these positions. */
function toBeRead(positions: readonly PartPosition[], bronze: readonly BronzePosition[]): BronzePosition[] {
  const ends = new Map(bronze.map(({ topic, partition, nextOffset }) => [`${topic}/${partition}`, nextOffset]));
  return positions.map(({ topic, partition, firstOffset, untilOffset }) => {
    const end = ends.get(`${topic}/${partition}`) ?? firstOffset;
    return { topic, partition, firstOffset, nextOffset: Math.max(firstOffset, Math.min(end, untilOffset ?? end)) };
  });
}

/** A number is used once, also by a generation that was dropped or never finished. */
async function nextNumber(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ id: number }>('select coalesce(max(id), 0) + 1 as id from ops.generation');
  return rows[0]?.id ?? 1;
}

/** Has the services make the generation and its tables: what rules and tables look like is theirs to know. */
async function prepare(
  { environment, order }: BeginOptions,
  { generation, base }: { readonly generation: number; readonly base: Generation },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'leakage-rebuild-'));
  try {
    const reasons = join(folder, 'reasons.json');
    writeFileSync(reasons, reasonFileText(base.rules.reasons));
    await prepareGeneration(generation, {
      ...environment,
      ...ruleVariables(base.rules, order.rules, reasons),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From here on processes may work on it. */
async function release(
  tx: Queryable,
  o: BeginOptions & {
    readonly generation: number;
    readonly chosen: ChosenSource;
    readonly positions: readonly PartPosition[];
  },
): Promise<void> {
  const { generation, order, chosen, positions } = o;
  await tx.query(
    `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, until_offset, cluster_id)
     select $1, b.topic, b.partition, m.first_offset, m.first_offset, m.until_offset, b.cluster_id
       from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) as m (topic, partition, first_offset, until_offset)
       join ops.position b on b.pipeline = 'bronze' and b.topic = m.topic and b.partition = m.partition`,
    [
      `silver_${generation}`,
      positions.map(({ topic }) => topic),
      positions.map(({ partition }) => partition),
      positions.map(({ firstOffset }) => firstOffset),
      positions.map(({ untilOffset }) => untilOffset),
    ],
  );
  const { rowCount } = await tx.query(
    `update ops.generation
        set state = 'building', source = $2, purpose = $3, share_percent = $4, records_per_second = $5, note = $6,
            from_time = $7, to_time = $8
      where id = $1 and state <> 'dropped'`,
    [
      generation,
      chosen.source,
      order.purpose,
      order.sharePercent,
      order.recordsPerSecond,
      order.note,
      instant(order.part?.from),
      instant(order.part?.to),
    ],
  );
  if (rowCount === 0) throw new CommandError(`Generation ${generation} was dropped while it was being made.`);
  await converge(tx, o.schemas, await existingRoles(tx, o.rolePrefix));
}

function instant(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}
