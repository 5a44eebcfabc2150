import { instantParameter, type Queryable } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { type Position, positionText } from './position.ts';

export const statuses = ['open', 'replayed', 'discarded'] as const;
export type Status = (typeof statuses)[number];

/** Which records of the quarantine are meant; null: all. */
export interface Selection {
  readonly positions: readonly Position[] | null;
  readonly source: Source | null;
  /** A reason, or the part of it before the colon. */
  readonly reason: string | null;
  /** Received then or later, in epoch milliseconds. */
  readonly since: number | null;
  readonly status: Status | null;
}

export interface QuarantinedRecord extends Position {
  readonly source: Source;
  readonly receivedAt: number;
  readonly payload: Buffer | null;
  readonly reasons: readonly string[];
}

/** How much is read at a time: what is sent of it must fit into one request to Kafka, so that its offsets lie together. */
const batchBytes = 300_000;

const COLUMNS = `kafka_topic as topic, kafka_partition as partition, kafka_offset as "offset", source,
       received_at as "receivedAt", payload, reasons`;

const SELECTED = `
       ($1::text is null or source = $1)
   and ($2::text is null or exists (select from unnest(reasons) r where $2 in (r, split_part(r, ':', 1))))
   and ($3::timestamptz is null or received_at >= $3)
   and ($4::text is null or status = $4)
   and ($5::text[] is null or (kafka_topic, kafka_partition, kafka_offset) in (select * from unnest($5, $6::int[], $7::bigint[])))`;

function parametersOf({ source, reason, since, status, positions }: Selection): unknown[] {
  return [
    source,
    reason,
    since === null ? null : instantParameter(since),
    status,
    positions?.map((one) => one.topic) ?? null,
    positions?.map((one) => one.partition) ?? null,
    positions?.map((one) => one.offset) ?? null,
  ];
}

/** The quarantine of one generation; `schema` is that of its silver. */
export class QuarantineStore {
  readonly #db: Queryable;
  readonly #view: string;

  constructor(db: Queryable, schema: string) {
    this.#db = db;
    this.#view = `${schema}.quarantine`;
  }

  async count(selection: Selection): Promise<number> {
    const { rows } = await this.#db.query<{ records: number }>(
      `select count(*) as records from ${this.#view} where ${SELECTED}`,
      parametersOf(selection),
    );
    return rows[0]?.records ?? 0;
  }

  /** By source and reason: a record with several reasons is in several groups. The newest record of each is its sample. */
  async groups(selection: Selection): Promise<Group[]> {
    const { rows } = await this.#db.query<Omit<Group, 'sample'> & Position>(
      `select source, reason, count(*) as records, min(received_at) as "firstSeen", max(received_at) as "lastSeen",
              (array_agg(kafka_topic order by received_at desc, kafka_offset desc))[1] as topic,
              (array_agg(kafka_partition order by received_at desc, kafka_offset desc))[1] as partition,
              (array_agg(kafka_offset order by received_at desc, kafka_offset desc))[1] as "offset"
         from ${this.#view}, unnest(reasons) as named (reason)
        where ${SELECTED} and ($2::text is null or $2 in (reason, split_part(reason, ':', 1)))
        group by source, reason
        order by count(*) desc, source, reason`,
      parametersOf(selection),
    );
    return rows.map(({ topic, partition, offset, ...group }) => ({
      ...group,
      sample: positionText({ topic, partition, offset }),
    }));
  }

  async find({ topic, partition, offset }: Position): Promise<QuarantinedRecord | null> {
    const { rows } = await this.#db.query<QuarantinedRecord>(
      `select ${COLUMNS} from ${this.#view} where kafka_topic = $1 and kafka_partition = $2 and kafka_offset = $3`,
      [topic, partition, offset],
    );
    return rows[0] ?? null;
  }

  /** The same records each time, from all over the selection. */
  async sample(selection: Selection, records: number): Promise<QuarantinedRecord[]> {
    const { rows } = await this.#db.query<QuarantinedRecord>(
      `select ${COLUMNS} from ${this.#view} where ${SELECTED}
        order by md5(concat_ws('/', kafka_topic, kafka_partition, kafka_offset)) limit $8`,
      [...parametersOf(selection), records],
    );
    return rows;
  }

  /** Records after a position in the order of positions, at least one if there is one; few enough to be held and sent at once. */
  async next(
    selection: Selection,
    { after, records }: { readonly after: Position; readonly records: number },
  ): Promise<QuarantinedRecord[]> {
    const { rows } = await this.#db.query<QuarantinedRecord>(
      `with following as (
         select * from ${this.#view}
          where ${SELECTED} and (kafka_topic, kafka_partition, kafka_offset) > ($8, $9, $10)
          order by kafka_topic, kafka_partition, kafka_offset limit $11),
       measured as (
         select *, row_number() over in_order as nr, sum(coalesce(octet_length(payload), 0)) over in_order as bytes
           from following window in_order as (order by kafka_topic, kafka_partition, kafka_offset))
       select ${COLUMNS} from measured where nr = 1 or bytes <= $12
        order by kafka_topic, kafka_partition, kafka_offset`,
      [...parametersOf(selection), after.topic, after.partition, after.offset, records, batchBytes],
    );
    return rows;
  }

  /** Gives records up: what they would have said never comes. Returns how many. */
  async discard(selection: Selection, why: string): Promise<number> {
    const { rowCount } = await this.#db.query(
      `insert into ops.repair as stored (kafka_topic, kafka_partition, kafka_offset, status, reason, resolved_by, resolved_at)
       select kafka_topic, kafka_partition, kafka_offset, 'discarded', $8, session_user, clock_timestamp()
         from ${this.#view} where ${SELECTED}
       on conflict (kafka_topic, kafka_partition, kafka_offset) do update
          set status = excluded.status, reason = excluded.reason, resolved_by = excluded.resolved_by,
              resolved_at = excluded.resolved_at
        where stored.status = 'open'`,
      [...parametersOf(selection), why],
    );
    return rowCount;
  }
}

export interface Group {
  readonly source: Source;
  readonly reason: string;
  readonly records: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** The position of one of them. */
  readonly sample: string;
}
