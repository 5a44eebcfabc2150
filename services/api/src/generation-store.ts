import { type DiffReport, diffGenerations } from '@leakage/diff';
import { activeGeneration, inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import { withDeadline } from '@leakage/runtime';
import { isoInstant } from './resources.ts';

/** What a generation is, and how it stands; of a dropped one only its description is left. Instants are ISO 8601. */
export interface ListedGeneration {
  readonly id: number;
  readonly state: string;
  readonly purpose: string;
  readonly note: string | null;
  readonly rules: {
    readonly windowMinutes: number;
    readonly timeZone: string;
    readonly repeatScope: string;
    readonly rulesVersion: number;
    readonly journeyTypes: readonly string[];
  };
  /** Where it was made of a part only: of records that Kafka received in this time. */
  readonly partOf: { readonly from: string | null; readonly to: string | null } | null;
  readonly createdAt: string | null;
  readonly caughtUpAt: string | null;
  readonly droppedAt: string | null;
  readonly records: number | null;
  /** Records that the active generation has read and this one has not; null where none is active. */
  readonly recordsBehindActive: number | null;
  readonly asOf: string | null;
  readonly watermarks: { readonly digital: string | null; readonly calls: string | null };
  readonly verification: Verification | null;
}

/** What the independent program said last, and of which local days; a null day: from the beginning, to the end. */
export interface Verification {
  readonly ok: boolean;
  readonly at: string | null;
  readonly scope: { readonly fromDay: string | null; readonly toDay: string | null };
  readonly trigger: string;
}

/** A change of the active generation. */
export interface Promotion {
  readonly kind: string;
  readonly fromGeneration: number;
  readonly toGeneration: number;
  readonly forced: boolean;
  readonly reason: string | null;
  readonly promotedBy: string;
  readonly promotedAt: string | null;
}

export interface ListedGenerations {
  readonly active: number | null;
  readonly generations: readonly ListedGeneration[];
  /** The newest first. */
  readonly promotions: readonly Promotion[];
}

export interface DiffAsked {
  readonly a: number;
  readonly b: number;
  readonly from?: string;
  readonly to?: string;
  /** Default: what is stored. */
  readonly costPerCallCents?: number | undefined;
  readonly examples: number;
}

export interface GenerationStore {
  list(): Promise<ListedGenerations>;
  /** Throws DiffError where the two cannot be compared, and what Postgres throws when it takes too long. */
  diff(asked: DiffAsked): Promise<DiffReport>;
}

const readDeadlineMs = 15_000;
const generationsMax = 500;
const promotionsMax = 100;

export function generationStore(
  pool: Pool,
  schemas: { readonly silver: string; readonly gold: string },
): GenerationStore {
  const inSnapshot = <T>(read: (tx: Queryable) => Promise<T>) =>
    inTransaction(pool, read, { isolation: 'repeatable read', readOnly: true });
  return {
    list: () => withDeadline(inSnapshot(readAll), readDeadlineMs, 'reading the database'),
    diff: (asked) => inSnapshot((tx) => diffGenerations(within(tx, readDeadlineMs), { ...asked, schemas })),
  };
}

/** Statements that all together may take so long: each one gets the time that those before it have left. */
function within(tx: Queryable, budgetMs: number) {
  const endsAt = performance.now() + budgetMs;
  return async (sql: string, params?: readonly unknown[]) => {
    const left = Math.max(1, Math.round(endsAt - performance.now()));
    await tx.query(`select set_config('statement_timeout', $1, true)`, [String(left)]);
    return await tx.query<Record<string, unknown>>(sql, params);
  };
}

async function readAll(tx: Queryable): Promise<ListedGenerations> {
  const active = await activeGeneration(tx);
  return { active, generations: await readGenerations(tx, active), promotions: await readPromotions(tx) };
}

interface GenerationRow {
  id: number;
  state: string;
  purpose: string;
  note: string | null;
  rules: {
    windowMs: number;
    timeZone: string;
    repeatScope: string;
    rulesVersion: number;
    reasons: { journeyTypes: string[] };
  };
  from_time: number | null;
  to_time: number | null;
  created_at: number | null;
  caught_up_at: number | null;
  dropped_at: number | null;
  digital: number | null;
  calls: number | null;
  records: string | null;
  behind: string | null;
  ok: boolean | null;
  verified_at: number | null;
  from_day: string | null;
  to_day: string | null;
  trigger: string | null;
}

async function readGenerations(tx: Queryable, active: number | null): Promise<ListedGeneration[]> {
  const { rows } = await tx.query<GenerationRow>(
    `select g.id, g.state, g.purpose, g.note, g.rules, g.from_time, g.to_time, g.created_at, g.caught_up_at, g.dropped_at,
            w.digital, w.calls, p.records, p.behind, v.ok, v.ended_at as verified_at, v.from_day, v.to_day, v.trigger
       from ops.generation g
       left join lateral (select max(s.wm_digital) as digital, max(s.wm_calls) as calls
                            from ops.shard s where s.generation = g.id) w on g.state <> 'dropped'
       left join lateral (select sum(own.next_offset - own.first_offset - own.holes) as records,
                                 sum(greatest(least(a.next_offset, own.until_offset) - coalesce(own.next_offset, a.first_offset), 0)) as behind
                            from (select topic, partition, first_offset, next_offset, until_offset, holes
                                    from ops.position where pipeline = 'silver_' || g.id) own
                            full join (select topic, partition, first_offset, next_offset
                                         from ops.position where pipeline = 'silver_' || $1::int) a
                              on a.topic = own.topic and a.partition = own.partition) p on g.state <> 'dropped'
       left join lateral (select n.ok, n.ended_at, n.from_day, n.to_day, n.trigger
                            from ops.verification n where n.generation = g.id
                           order by n.ended_at desc limit 1) v on true
      order by g.id desc
      limit ${generationsMax}`,
    [active],
  );
  return rows.map((row) => listed(row, active));
}

function listed(row: GenerationRow, active: number | null): ListedGeneration {
  const { rules, digital, calls } = row;
  const there = row.state !== 'dropped';
  return {
    id: row.id,
    state: row.state,
    purpose: row.purpose,
    note: row.note,
    rules: {
      windowMinutes: rules.windowMs / 60_000,
      timeZone: rules.timeZone,
      repeatScope: rules.repeatScope,
      rulesVersion: rules.rulesVersion,
      journeyTypes: rules.reasons.journeyTypes,
    },
    partOf:
      row.from_time === null && row.to_time === null
        ? null
        : { from: isoInstant(row.from_time), to: isoInstant(row.to_time) },
    createdAt: isoInstant(row.created_at),
    caughtUpAt: isoInstant(row.caught_up_at),
    droppedAt: isoInstant(row.dropped_at),
    records: there ? Number(row.records ?? 0) : null,
    recordsBehindActive: there && active !== null ? Number(row.behind ?? 0) : null,
    asOf: digital === null || calls === null ? null : isoInstant(Math.min(digital, calls)),
    watermarks: { digital: isoInstant(digital), calls: isoInstant(calls) },
    verification: verificationOf(row),
  };
}

function verificationOf(row: GenerationRow): Verification | null {
  if (row.ok === null || row.trigger === null) return null;
  return {
    ok: row.ok,
    at: isoInstant(row.verified_at),
    scope: { fromDay: row.from_day, toDay: row.to_day },
    trigger: row.trigger,
  };
}

async function readPromotions(tx: Queryable): Promise<Promotion[]> {
  const { rows } = await tx.query<Omit<Promotion, 'promotedAt'> & { promotedAt: number }>(
    `select kind, from_generation as "fromGeneration", to_generation as "toGeneration", forced, reason,
            promoted_by as "promotedBy", promoted_at as "promotedAt"
       from ops.promotion
      order by id desc
      limit ${promotionsMax}`,
  );
  return rows.map((row) => ({ ...row, promotedAt: isoInstant(row.promotedAt) }));
}
