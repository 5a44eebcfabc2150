import { lockShards, migrate, migrateOps, type Pool, type Rules } from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';

/** A row of silver by column name, as its table takes it (instants as ISO 8601). */
export type Row = Readonly<Record<string, unknown>>;

export interface FactChange {
  readonly kind: 'call' | 'journey' | 'member';
  readonly shard: number;
  readonly before: Row | null;
  readonly after: Row | null;
}

const tables = {
  call: { name: 'call_fact', key: ['call_id'] },
  journey: { name: 'journey_outcome', key: ['member_id', 'session_id', 'journey_type'] },
  member: { name: 'member_profile', key: ['member_id', 'valid_from'] },
};

/** What every table has and no figure depends on. */
const stored = { shard: 0, processing_timestamp: '2025-01-01T00:00:00Z' };

const rules: Rules = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  reasons: { journeyTypes: ['billing', 'id_card', 'pharmacy'], reasons: {}, tokens: {} },
};

/** Stands in for the silver-joiner: writes facts and the change log as it does, without deciding anything. */
export class SilverWriter {
  readonly generation: number;
  readonly silver: string;
  readonly gold: string;
  readonly #pool: Pool;
  #batches = 0;

  private constructor(pool: Pool, generation: number) {
    this.#pool = pool;
    this.generation = generation;
    this.silver = `silver_${generation}`;
    this.gold = `gold_${generation}`;
  }

  /** Makes a generation with its silver tables; the first one of a database is the active one. */
  static async create(pool: Pool, o: { url: string; log: Logger; generation: number }): Promise<SilverWriter> {
    const writer = new SilverWriter(pool, o.generation);
    await migrateOps(o);
    const directory = new URL('../../../silver-joiner/migrations/', import.meta.url);
    await migrate({ ...o, schemas: [writer.silver], directory });
    await pool.query(
      `insert into ops.generation (id, state, rules, rules_hash, caught_up_at)
       values ($1, case when exists (select from ops.generation) then 'building' else 'active' end, $2, '', now())`,
      [o.generation, JSON.stringify(rules)],
    );
    await pool.query('insert into ops.shard (generation, shard) select $1, generate_series(0, 11)', [o.generation]);
    return writer;
  }

  /** One transaction: facts, change log, watermarks, notification. */
  async write(changes: readonly FactChange[], o: { wmDigital?: string; wmCalls?: string } = {}): Promise<void> {
    await this.transaction(async (tx) => {
      const shards = [...new Set(changes.map((change) => change.shard))];
      const locked = await lockShards(tx, this.generation, shards.length > 0 ? shards : [0]);
      const seqs = new Map(locked.map((row) => [row.shard, row.changeSeq]));
      const log = changes.map(({ kind, shard, before, after }) => {
        const seq = (seqs.get(shard) ?? 0) + 1;
        seqs.set(shard, seq);
        return { shard, seq, kind, before: onLog(kind, before), after: onLog(kind, after) };
      });
      for (const kind of ['call', 'journey', 'member'] as const)
        await this.#store(
          tx,
          kind,
          changes.filter((change) => change.kind === kind),
        );
      for (const [shard, ofShard] of Map.groupBy(log, (change) => change.shard)) {
        await tx.query(
          `insert into ${this.silver}.change_log (shard, seq, last_seq, changes) values ($1, $2, $3, $4)`,
          [
            shard,
            ofShard[0]?.seq,
            ofShard.at(-1)?.seq,
            JSON.stringify(ofShard.map(({ kind, before, after }) => [kind, before, after])),
          ],
        );
      }
      for (const [shard, seq] of seqs) {
        await tx.query(
          `update ops.shard set change_seq = $3, wm_digital = greatest(wm_digital, $4), wm_calls = greatest(wm_calls, $5)
            where generation = $1 and shard = $2`,
          [this.generation, shard, seq, o.wmDigital ?? null, o.wmCalls ?? null],
        );
      }
      await tx.query(`notify leakage_changes_${this.generation}`);
    });
  }

  /** Both sources were heard up to this instant. */
  async hear(instant: string): Promise<void> {
    await this.write([], { wmDigital: instant, wmCalls: instant });
  }

  /** `count` facts like `template`, told apart by a number behind their id. No change log: gold must count anew. */
  async many(kind: FactChange['kind'], count: number, template: Row): Promise<void> {
    const { name } = tables[kind];
    const id = { call: 'call_id', journey: 'session_id', member: 'member_id' }[kind];
    const { rows } = await this.#pool.query<{ columns: string[] }>(
      `select array_agg(attname::text order by attnum) as columns from pg_attribute where attrelid = $1::regclass and attnum > 0`,
      [`${this.silver}.${name}`],
    );
    const columns = rows[0]?.columns ?? [];
    await this.#pool.query(
      `insert into ${this.silver}.${name} (${columns.join(', ')})
       select ${columns.map((column) => (column === id ? `concat(f.${id}, '-', n)` : `f.${column}`)).join(', ')}
         from generate_series(1, $2::int) as n
        cross join jsonb_populate_record(null::${this.silver}.${name}, $1) f`,
      [JSON.stringify({ ...template, ...stored, [id]: `${String(template[id])}-${++this.#batches}` }), count],
    );
  }

  async transaction(work: (tx: Parameters<Parameters<Pool['withConnection']>[0]>[0]) => Promise<void>): Promise<void> {
    await this.#pool.withConnection(async (connection) => {
      await connection.query('begin');
      try {
        await work(connection);
        await connection.query('commit');
      } catch (error) {
        await connection.query('rollback');
        throw error;
      }
    });
  }

  /** Each identity at most once in `changes`. */
  async #store(tx: Pick<Pool, 'query'>, kind: FactChange['kind'], changes: readonly FactChange[]): Promise<void> {
    const { name, key } = tables[kind];
    const table = `${this.silver}.${name}`;
    const records = `jsonb_populate_recordset(null::${table}, $1)`;
    const of = (side: 'before' | 'after') =>
      changes.flatMap((c) => (c[side] === null ? [] : [{ ...c[side], ...stored, shard: c.shard }]));
    // A profile version stays when a later one comes.
    const gone = kind === 'member' ? [] : of('before');
    const where = key.map((column) => `t.${column} = f.${column}`).join(' and ');
    await tx.query(`delete from ${table} t using ${records} f where ${where}`, [JSON.stringify(gone)]);
    await tx.query(`insert into ${table} select * from ${records}`, [JSON.stringify(of('after'))]);
  }
}

function onLog(kind: FactChange['kind'], fact: Row | null): Row | null {
  if (fact === null) return null;
  const { member_id, member_category, language_preference } = fact;
  if (kind === 'member') return { member_id, member_category, language_preference };
  const instant = (name: string, value: unknown) => /_(at|timestamp)$/.test(name) && typeof value === 'string';
  return Object.fromEntries(
    Object.entries(fact).map(([name, value]) => [name, instant(name, value) ? Date.parse(String(value)) : value]),
  );
}

/** A call that leaks, unless told otherwise. */
export function callFact(columns: Row): Row {
  const leaks = (columns.attribution ?? 'leakage') === 'leakage';
  return {
    call_id: 'C',
    member_id: 'M',
    call_timestamp: '2025-03-11T14:00:00Z',
    call_reason: 'billing_question',
    issue_family: 'billing',
    attribution: 'leakage',
    is_repeat_call: false,
    is_primary: leaks,
    assisted_completion: false,
    leakage_type: leaks ? 'billing' : null,
    digital_session_id: leaks ? 'S' : null,
    digital_event_id: leaks ? 'E' : null,
    digital_timestamp: leaks ? '2025-03-11T13:50:00Z' : null,
    time_to_call_ms: leaks ? 600_000 : null,
    alignment_strength: leaks ? 2 : null,
    error_code: null,
    error_message: null,
    device_type: leaks ? 'mobile' : null,
    member_category: 'Unknown',
    plan_type: null,
    segment: null,
    language_preference: null,
    sentiment_e4: null,
    handle_time_seconds: null,
    local_date: '2025-03-11',
    local_hour: 10,
    ...columns,
  };
}

/** A journey that failed and did not leak, unless told otherwise. */
export function journeyFact(columns: Row): Row {
  return {
    member_id: 'M',
    session_id: 'S',
    journey_type: 'billing',
    outcome: 'failed_error',
    first_decisive_at: '2025-03-11T13:50:00Z',
    last_decisive_at: '2025-03-11T13:50:00Z',
    last_decisive_event_id: 'E',
    device_type: 'mobile',
    error_code: null,
    member_category: 'Unknown',
    plan_type: null,
    segment: null,
    language_preference: null,
    local_date: '2025-03-11',
    local_hour: 9,
    leaked: false,
    leakage_calls: 0,
    ...columns,
  };
}

/** A version of a member's profile. */
export function memberFact(columns: Row): Row {
  return {
    member_id: 'M',
    valid_from: '2025-01-01T00:00:00Z',
    plan_type: 'MAPD',
    segment: 'new',
    language_preference: 'English',
    tenure_months: 3,
    enrollment_date: '2025-01-01',
    member_category: 'MAPD New',
    revision: 0,
    emitted_at: '2025-01-01T00:00:00Z',
    ingestion_timestamp: '2025-01-01T00:00:00Z',
    source_topic: 'members',
    source_partition: 0,
    source_offset: 0,
    ...columns,
  };
}
