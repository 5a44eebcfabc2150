import type { Behind, Generation, Pool, Queryable } from '@leakage/postgres';
import type { End } from '../status/positions.ts';

/** What `leakage generations` says. Instants are ISO 8601. */
export interface GenerationsReport {
  readonly generations: readonly GenerationReport[];
  /** The newest first. */
  readonly promotions: readonly PromotionReport[];
}

export interface GenerationReport {
  readonly id: number;
  readonly state: Generation['state'];
  readonly purpose: Generation['purpose'];
  readonly rules: { readonly windowMinutes: number; readonly repeatScope: string; readonly timeZone: string };
  readonly source: Generation['source'];
  /** When Kafka got the records that it was made of; null: it was made of everything. */
  readonly partOf: { readonly from: string | null; readonly to: string | null } | null;
  readonly paused: boolean;
  /** Records read, and how many there are to be read; null: Kafka does not answer, or it is dropped. */
  readonly records: { readonly read: number; readonly of: number | null };
  /** Changes of its silver that its gold has not folded. */
  readonly changesBehind: Behind['changes'];
  /** Gold begins when silver has caught up. */
  readonly goldBegun: Behind['begun'];
  /** The newest verification of the whole of it. */
  readonly verified: { readonly ok: boolean; readonly at: string } | null;
  readonly createdAt: string;
  readonly caughtUpAt: string | null;
  readonly droppedAt: string | null;
  readonly note: string | null;
}

export interface PromotionReport {
  readonly kind: 'promote' | 'rollback';
  readonly from: number;
  readonly to: number;
  readonly at: string;
  readonly by: string;
  readonly forced: boolean;
  readonly reason: string | null;
}

const promotionsShown = 10;

export async function readGenerations(pool: Pool, ends: readonly End[] | null): Promise<GenerationsReport> {
  const generations: GenerationReport[] = [];
  for (const row of await generationRows(pool)) {
    const records = await recordsOf(pool, row, row.state === 'dropped' ? null : ends);
    generations.push(reportOf(row, records));
  }
  return { generations, promotions: await newestPromotions(pool) };
}

interface Row {
  id: number;
  state: Generation['state'];
  purpose: Generation['purpose'];
  rules: Generation['rules'];
  source: Generation['source'];
  from_time: number | null;
  to_time: number | null;
  paused: boolean;
  note: string | null;
  created_at: number;
  caught_up_at: number | null;
  dropped_at: number | null;
  verified_ok: boolean | null;
  verified_at: number | null;
  changes_behind: number;
  gold_begun: boolean;
}

async function generationRows(db: Queryable): Promise<Row[]> {
  const { rows } = await db.query<Row>(
    `select g.id, g.state, g.purpose, g.rules, g.source, g.from_time, g.to_time, g.paused, g.note, g.created_at, g.caught_up_at, g.dropped_at,
            v.ok as verified_ok, v.ended_at as verified_at,
            (select coalesce(sum(greatest(s.change_seq + 1 - coalesce(r.next_seq, 1), 0)), 0)::bigint
               from ops.shard s
               left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
              where s.generation = g.id) as changes_behind,
            exists (select from ops.reader r where r.reader = 'gold' and r.generation = g.id) as gold_begun
       from ops.generation g
       left join lateral (select n.ok, n.ended_at from ops.verification n
                           where n.generation = g.id and n.from_day is null and n.to_day is null
                           order by n.ended_at desc limit 1) v on true
      order by g.id`,
  );
  return rows;
}

/**
 * Of a partition that has been begun, what lies before the beginning, or beyond the end where there is one, is not there to be
 * read; of another, what Kafka has.
 */
async function recordsOf(
  db: Queryable,
  { id, to_time: endsAt }: Pick<Row, 'id' | 'to_time'>,
  ends: readonly End[] | null,
): Promise<GenerationReport['records']> {
  const { rows } = await db.query<Read>(
    `select topic, partition, first_offset as first, next_offset as next, until_offset as until, holes
       from ops.position where pipeline = $1`,
    [`silver_${id}`],
  );
  const read = rows.reduce((sum, one) => sum + one.next - one.first - one.holes, 0);
  if (ends === null) return { read, of: null };
  const begun = new Map(rows.map((one) => [`${one.topic}/${one.partition}`, one]));
  const left = ends.map(({ topic, partition, low, high }) => {
    const one = begun.get(`${topic}/${partition}`);
    if (one === undefined) return endsAt === null ? high - low : 0;
    return (one.until ?? high) - one.next;
  });
  return { read, of: left.reduce((sum, records) => sum + Math.max(0, records), read) };
}

interface Read {
  topic: string;
  partition: number;
  first: number;
  next: number;
  until: number | null;
  holes: number;
}

function partOf({ from_time: from, to_time: to }: Row): GenerationReport['partOf'] {
  if (from === null && to === null) return null;
  return { from: from === null ? null : iso(from), to: to === null ? null : iso(to) };
}

function reportOf(row: Row, records: GenerationReport['records']): GenerationReport {
  const { rules, verified_ok: ok, verified_at: verifiedAt } = row;
  return {
    id: row.id,
    state: row.state,
    purpose: row.purpose,
    rules: { windowMinutes: rules.windowMs / 60_000, repeatScope: rules.repeatScope, timeZone: rules.timeZone },
    source: row.source,
    partOf: partOf(row),
    paused: row.paused,
    records,
    changesBehind: row.changes_behind,
    goldBegun: row.gold_begun,
    verified: ok === null || verifiedAt === null ? null : { ok, at: iso(verifiedAt) },
    createdAt: iso(row.created_at),
    caughtUpAt: row.caught_up_at === null ? null : iso(row.caught_up_at),
    droppedAt: row.dropped_at === null ? null : iso(row.dropped_at),
    note: row.note,
  };
}

async function newestPromotions(db: Queryable): Promise<PromotionReport[]> {
  const { rows } = await db.query<Omit<PromotionReport, 'at'> & { at: number }>(
    `select kind, from_generation as "from", to_generation as "to", promoted_at as at, promoted_by as by, forced, reason
       from ops.promotion order by id desc limit $1`,
    [promotionsShown],
  );
  return rows.map((row) => ({ ...row, at: iso(row.at) }));
}

const iso = (ms: number) => new Date(ms).toISOString();
