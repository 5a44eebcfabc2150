import { createHash } from 'node:crypto';
import type { OutgoingRecord, Publisher } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';

interface Acknowledged {
  readonly topic: string;
  readonly partition: number;
  /** Null where a lost answer leaves open which of the copies this is. */
  readonly offset: number | null;
  readonly md5: string;
}

const rows = `
  select kafka_topic as topic, kafka_partition as partition, kafka_offset as "offset", headers ->> 'record_id' as id, payload
    from bronze.digital_journeys_raw
  union all select kafka_topic, kafka_partition, kafka_offset, headers ->> 'record_id', payload from bronze.call_logs_raw
  union all select kafka_topic, kafka_partition, kafka_offset, headers ->> 'record_id', payload from bronze.member_profiles_raw`;

/** Over all histories of a test, so that two of them can share a pipeline. */
let sent = 0;

/** What producers were told is stored, to be compared with what bronze has: each of it, once, with these bytes. */
export class History {
  readonly #publisher: Publisher;
  #unchecked = new Map<string, Acknowledged>();
  #acknowledged = 0;

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  /** Records that a producer was told are stored. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Every record needs a partition. Rejects when the brokers do not answer; what was acknowledged by then stays noted. */
  async publish(records: readonly OutgoingRecord[]): Promise<void> {
    const named = records.map((record) => {
      sent += 1;
      return { ...record, id: String(sent), headers: { ...record.headers, record_id: String(sent) } };
    });
    const ranges = await this.#publisher.publish(named);
    for (const { topic, partition, firstOffset, lastOffset } of ranges) {
      const there = named.filter((record) => record.topic === topic && record.partition === partition);
      const exact = lastOffset - firstOffset + 1 === there.length;
      for (const [nr, { id, value }] of there.entries()) {
        this.#unchecked.set(id, { topic, partition, offset: exact ? firstOffset + nr : null, md5: md5(value) });
        this.#acknowledged += 1;
      }
    }
  }

  /** In words, what bronze has lost or changed of that which was acknowledged since the last time, and what it has twice. */
  async differences(pool: Pool): Promise<string[]> {
    const wrong: string[] = [];
    const kept = await pool.query<{ topic: string; partition: number; offset: number; id: string; md5: string }>(
      `select topic, partition, "offset", id, coalesce(md5(payload), 'null') as md5 from (${rows}) r
        where id = any ($1) order by topic, partition, "offset"`,
      [[...this.#unchecked.keys()]],
    );
    const copies = Map.groupBy(kept.rows, (row) => row.id);
    for (const [id, { topic, partition, offset, md5: sum }] of this.#unchecked) {
      const there = copies.get(id) ?? [];
      const found = there.filter((row) => offset === null || row.offset === offset);
      if (found.length === 0 || (offset !== null && found.length > 1)) {
        wrong.push(
          `record ${id}, acknowledged at ${topic}/${partition} offset ${offset}, is in bronze ${found.length} times`,
        );
      }
      if (there.some((row) => row.md5 !== sum || row.topic !== topic || row.partition !== partition)) {
        wrong.push(`record ${id} of ${topic}/${partition} is in bronze with other bytes or in another place`);
      }
    }
    const twice = await pool.query<{ topic: string; partition: number; offset: number; times: number }>(
      `select topic, partition, "offset", count(*)::int as times from (${rows}) r
        group by 1, 2, 3 having count(*) > 1 order by 1, 2, 3 limit 5`,
    );
    for (const row of twice.rows) {
      wrong.push(`${row.topic}/${row.partition} offset ${row.offset} is in bronze ${row.times} times`);
    }
    this.#unchecked = new Map();
    return wrong;
  }
}

function md5(value: Buffer | null): string {
  return value === null ? 'null' : createHash('md5').update(value).digest('hex');
}
