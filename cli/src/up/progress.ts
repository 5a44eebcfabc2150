import { type KafkaClient, topicOffsets } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';

/** How far everything is, in numbers that only grow while events arrive. */
export interface Progress {
  /** Records in the topics now, and those that bronze and silver have not yet taken. */
  readonly bronzeEvents: number;
  readonly bronzeBehind: number;
  readonly silverBehind: number;
  /** Changes that gold has not yet folded. */
  readonly goldBehind: number;
  readonly calls: number;
  readonly leakageCalls: number;
  readonly leakageCents: number;
}

export interface ProgressOptions {
  readonly pool: Pool;
  readonly kafka: KafkaClient;
  readonly topics: readonly string[];
  readonly goldSchema: string;
}

export async function readProgress(o: ProgressOptions): Promise<Progress> {
  const generation = await activeGeneration(o.pool);
  const [ends, positions, gold, figures] = await Promise.all([
    topicOffsets(o.kafka, o.topics),
    readPositions(o.pool, `silver_${generation}`),
    readGoldBehind(o.pool, generation),
    readFigures(o.pool, `${o.goldSchema}_${generation}`),
  ]);
  const behind = (pipeline: 'bronze' | 'silver') =>
    ends.reduce(
      (sum, end) => sum + end.high - (positions[pipeline].get(`${end.topic}/${end.partition}`) ?? end.low),
      0,
    );
  return {
    bronzeEvents: positions.bronzeEvents,
    bronzeBehind: behind('bronze'),
    silverBehind: behind('silver'),
    goldBehind: gold,
    ...figures,
  };
}

export const isCaughtUp = (p: Progress): boolean => p.bronzeBehind + p.silverBehind + p.goldBehind === 0;

/** 1 until the joiner has made one. */
async function activeGeneration(pool: Pool): Promise<number> {
  if (!(await exists(pool, 'ops.generation'))) return 1;
  const { rows } = await pool.query<{ id: number }>(`select id from ops.generation where state = 'active'`);
  return rows[0]?.id ?? 1;
}

async function readPositions(pool: Pool, silver: string) {
  const found = { bronze: new Map<string, number>(), silver: new Map<string, number>(), bronzeEvents: 0 };
  if (!(await exists(pool, 'ops.position'))) return found;
  const { rows } = await pool.query<{
    pipeline: string;
    topic: string;
    partition: number;
    next: number;
    taken: number;
  }>(
    `select pipeline, topic, partition, next_offset as next, next_offset - first_offset - holes as taken
       from ops.position
      where pipeline in ('bronze', $1)`,
    [silver],
  );
  for (const { pipeline, topic, partition, next, taken } of rows) {
    found[pipeline === 'bronze' ? 'bronze' : 'silver'].set(`${topic}/${partition}`, next);
    if (pipeline === 'bronze') found.bronzeEvents += taken;
  }
  return found;
}

async function readGoldBehind(pool: Pool, generation: number): Promise<number> {
  if (!(await exists(pool, 'ops.shard'))) return 0;
  const { rows } = await pool.query<{ behind: number }>(
    `select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint as behind
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [generation],
  );
  return rows[0]?.behind ?? 0;
}

/** From the cube, which has few rows however many calls there are. */
async function readFigures(pool: Pool, gold: string) {
  const none = { calls: 0, leakageCalls: 0, leakageCents: 0 };
  if (!(await exists(pool, `${gold}.call_cube`))) return none;
  const { rows } = await pool.query<typeof none>(
    `select coalesce(sum(calls), 0)::bigint as "calls",
            coalesce(sum(calls) filter (where attribution = 'leakage'), 0)::bigint as "leakageCalls",
            coalesce(sum(calls) filter (where attribution = 'leakage') * ${gold}.cost_cents(), 0)::bigint as "leakageCents"
       from ${gold}.call_cube`,
  );
  return rows[0] ?? none;
}

async function exists(pool: Pool, relation: string): Promise<boolean> {
  const { rows } = await pool.query<{ there: boolean }>('select to_regclass($1) is not null as there', [relation]);
  return rows[0]?.there ?? false;
}
