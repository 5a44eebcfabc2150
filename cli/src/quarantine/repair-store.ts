import type { Queryable } from '@leakage/postgres';
import type { Position } from './position.ts';

/** What became of a record, as far as anybody has done something about it. */
export interface Repair {
  readonly status: string;
  readonly attempts: number;
  readonly run: string | null;
  readonly repairedTopic: string | null;
  readonly repairedPartition: number | null;
  readonly repairedOffset: number | null;
  readonly reason: string | null;
  readonly resolvedBy: string | null;
  readonly resolvedAt: number | null;
}

/** A record whose repaired form was about to be sent, and of which nobody has heard since. */
export interface Unacknowledged extends Position {
  readonly attemptedAt: number;
}

/** A repaired record and where Kafka has it. */
export interface Acknowledged {
  readonly record: Position;
  readonly at: Position;
}

/** What was done about quarantined records, over all generations. Nobody but this command writes here (law 9). */
export class RepairStore {
  readonly #db: Queryable;

  constructor(db: Queryable) {
    this.#db = db;
  }

  /** False: the name is taken by a run with another fix. */
  async openRun(name: string, fix: string): Promise<boolean> {
    await this.#db.query('insert into ops.repair_run (name, fix) values ($1, $2) on conflict (name) do nothing', [
      name,
      fix,
    ]);
    const { rows } = await this.#db.query<{ same: boolean }>(
      'select fix = $2::jsonb as same from ops.repair_run where name = $1',
      [name, fix],
    );
    return rows[0]?.same === true;
  }

  async find({ topic, partition, offset }: Position): Promise<Repair | null> {
    const { rows } = await this.#db.query<Repair>(
      `select status, attempts, run, repaired_topic as "repairedTopic", repaired_partition as "repairedPartition",
              repaired_offset as "repairedOffset", reason, resolved_by as "resolvedBy", resolved_at as "resolvedAt"
         from ops.repair where kafka_topic = $1 and kafka_partition = $2 and kafka_offset = $3`,
      [topic, partition, offset],
    );
    return rows[0] ?? null;
  }

  /** Before records are sent: whoever finds this without an acknowledgement knows that Kafka may have them. */
  async intend(records: readonly Position[], run: string): Promise<void> {
    await this.#db.query(
      `insert into ops.repair as stored (kafka_topic, kafka_partition, kafka_offset, attempts, attempted_at, run)
       select topic, partition, "offset", 1, clock_timestamp(), $4
         from unnest($1::text[], $2::int[], $3::bigint[]) as k (topic, partition, "offset")
       on conflict (kafka_topic, kafka_partition, kafka_offset) do update
          set attempts = stored.attempts + 1, attempted_at = excluded.attempted_at, run = excluded.run
        where stored.status = 'open'`,
      [records.map((one) => one.topic), records.map((one) => one.partition), records.map((one) => one.offset), run],
    );
  }

  async acknowledge(sent: readonly Acknowledged[]): Promise<void> {
    await this.#db.query(
      `update ops.repair r
          set status = 'replayed', repaired_topic = k.at_topic, repaired_partition = k.at_partition,
              repaired_offset = k.at_offset, resolved_by = session_user, resolved_at = clock_timestamp()
         from unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::int[], $6::bigint[])
           as k (topic, partition, "offset", at_topic, at_partition, at_offset)
        where r.kafka_topic = k.topic and r.kafka_partition = k.partition and r.kafka_offset = k."offset"
          and r.status = 'open'`,
      [
        sent.map(({ record }) => record.topic),
        sent.map(({ record }) => record.partition),
        sent.map(({ record }) => record.offset),
        sent.map(({ at }) => at.topic),
        sent.map(({ at }) => at.partition),
        sent.map(({ at }) => at.offset),
      ],
    );
  }

  /** The next of them after a position, in the order of positions. */
  async unacknowledged(after: Position, records: number): Promise<Unacknowledged[]> {
    const { rows } = await this.#db.query<Unacknowledged>(
      `select kafka_topic as topic, kafka_partition as partition, kafka_offset as "offset", attempted_at as "attemptedAt"
         from ops.repair
        where status = 'open' and attempts > 0 and (kafka_topic, kafka_partition, kafka_offset) > ($1, $2, $3)
        order by kafka_topic, kafka_partition, kafka_offset
        limit $4`,
      [after.topic, after.partition, after.offset, records],
    );
    return rows;
  }
}
