import type { Queryable } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { type Position, positionText } from './position.ts';

const tables: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

/** What of a record only bronze has. */
export interface Envelope {
  readonly key: Buffer | null;
  /** As bronze describes them. */
  readonly headers: Readonly<Record<string, unknown>> | null;
  readonly sourceFile: string | null;
}

/** The archive, in which a record is found by its position or by what it repairs. */
export class BronzeStore {
  readonly #db: Queryable;
  readonly #schema: string;

  constructor(db: Queryable, schema: string) {
    this.#db = db;
    this.#schema = schema;
  }

  /** By position as text; what bronze has not read yet is missing. */
  async envelopes(source: Source, positions: readonly Position[]): Promise<Map<string, Envelope>> {
    // One look-up by the index of offsets for each: their order on disk is that of the offsets, and a scan would read all days.
    const { rows } = await this.#db.query<Position & Envelope>(
      `select k.topic, k.partition, k."offset", r.kafka_key as key, r.headers, r.source_file as "sourceFile"
         from unnest($1::text[], $2::int[], $3::bigint[]) as k (topic, partition, "offset")
        cross join lateral (
          select b.kafka_key, b.headers, b.source_file
            from ${this.#schema}.${tables[source]} b
           where b.kafka_topic = k.topic and b.kafka_partition = k.partition and b.kafka_offset = k."offset"
           limit 1) r`,
      [positions.map((one) => one.topic), positions.map((one) => one.partition), positions.map((one) => one.offset)],
    );
    return new Map(rows.map(({ key, headers, sourceFile, ...at }) => [positionText(at), { key, headers, sourceFile }]));
  }

  /** The first copies that say that they repair these records, by the position that they repair. */
  async copies(
    source: Source,
    repaired: readonly Position[],
    since: number,
  ): Promise<{ readonly of: string; readonly at: Position }[]> {
    const { rows } = await this.#db.query<Position & { of: string }>(
      `select distinct on (headers ->> 'repair_of') headers ->> 'repair_of' as of, kafka_topic as topic,
              kafka_partition as partition, kafka_offset as "offset"
         from ${this.#schema}.${tables[source]}
        where ingestion_timestamp >= to_timestamp($1::double precision / 1000) and headers ->> 'repair_of' = any ($2)
        order by headers ->> 'repair_of', kafka_partition, kafka_offset`,
      [since, repaired.map(positionText)],
    );
    return rows.map(({ of, ...at }) => ({ of, at }));
  }
}
