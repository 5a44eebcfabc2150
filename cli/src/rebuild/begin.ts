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
  /** After a retention run: the first local day that it counts by itself; null: all of them. */
  readonly closedBefore: string | null;
  /** Whose gold has the days before; null: it lacks them, and may be promoted by force only. */
  readonly takenFrom: number | null;
}

/** One command makes a generation at a time, and none while retention removes what it would be made of. */
export const BEGIN_LOCK = 4_718_266;

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
      const horizon = await inTransaction(pool, (tx) =>
        release(tx, { ...o, generation, base: base.id, chosen, positions }),
      );
      return { generation, ...chosen, ...horizon };
    } finally {
      if (lock.lost === null) await lock.query('select pg_advisory_unlock($1)', [BEGIN_LOCK]);
    }
  });
}

async function bronzePositions(db: Queryable): Promise<BronzePosition[]> {
  const { rows } = await db.query<BronzePosition>(
    `select p.topic, p.partition, p.first_offset as "firstOffset", p.next_offset as "nextOffset",
            (select coalesce(sum(d.records), 0)::bigint from ops.bronze_dropped d
              where d.topic = p.topic and d.partition = p.partition) as dropped
       from ops.position p where p.pipeline = 'bronze' order by p.topic, p.partition`,
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
  const read = new Map(bronze.map((one) => [`${one.topic}/${one.partition}`, one]));
  return positions.map(({ topic, partition, firstOffset, untilOffset }) => {
    const { nextOffset: end = firstOffset, dropped = 0 } = read.get(`${topic}/${partition}`) ?? {};
    const nextOffset = Math.max(firstOffset, Math.min(end, untilOffset ?? end));
    return { topic, partition, firstOffset, nextOffset, dropped };
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
    readonly base: number;
    readonly chosen: ChosenSource;
    readonly positions: readonly PartPosition[];
  },
): Promise<Pick<Begun, 'closedBefore' | 'takenFrom'>> {
  const { generation, base, order, chosen, positions } = o;
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
  const horizon = await beginAtHorizon(tx, { generation, base });
  await converge(tx, o.schemas, await existingRoles(tx, o.rolePrefix));
  return horizon;
}

/**
 * After a retention run the new generation begins with the first event that the base still has whole: facts from the base's horizon
 * on have everything that they look back to. The local days before that horizon it leaves to the gold that counted them while their
 * facts were there, unless its own days are others.
 */
async function beginAtHorizon(
  tx: Queryable,
  { generation, base }: { readonly generation: number; readonly base: number },
): Promise<Pick<Begun, 'closedBefore' | 'takenFrom'>> {
  const { rows } = await tx.query<{ closedBefore: string; takenFrom: number | null }>(
    `insert into ops.horizon (generation, refused_before, kept_from, quarantine_kept_from, begins_at, closed_before, taken_from)
     select n.id, h.kept_from, h.kept_from, h.quarantine_kept_from, h.kept_from,
            greatest(h.closed_before,
                     ((h.refused_before - interval '1 microsecond') at time zone (n.rules ->> 'timeZone'))::date + 1),
            case when n.rules ->> 'timeZone' = b.rules ->> 'timeZone' then b.id end
       from ops.horizon h
       join ops.generation b on b.id = h.generation
       join ops.generation n on n.id = $1
      where h.generation = $2
     returning closed_before::text as "closedBefore", taken_from as "takenFrom"`,
    [generation, base],
  );
  return rows[0] ?? { closedBefore: null, takenFrom: null };
}

function instant(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : new Date(ms).toISOString();
}
