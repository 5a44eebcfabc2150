import { createKafkaClient, startConsumer, topicOffsets } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import { createLogger, Metrics } from '@leakage/runtime';
import { changes, type LeakageChange, type LeakageFact, topicName } from '@leakage/schemas';
import { eventually } from '@leakage/testing';

const log = createLogger({ service: 'tests', level: 'error' });

export interface ToldChange {
  readonly partition: number;
  readonly key: string | undefined;
  readonly change: LeakageChange;
}

/** Everything that was told so far, partition by partition, in the order of the log. */
export async function readChanges(o: {
  readonly brokers: readonly string[];
  readonly prefix: string;
}): Promise<ToldChange[]> {
  const kafka = createKafkaClient({ brokers: [...o.brokers], clientId: 'tests', log });
  const topic = topicName(o.prefix, 'changes');
  const total = (await topicOffsets(kafka, [topic])).reduce((sum, end) => sum + end.high - end.low, 0);
  const told: ToldChange[] = [];
  const consumer = await startConsumer({
    kafka,
    groupId: `${topic}.${performance.now()}`,
    topics: [topic],
    positions: {
      load: async (parts, clusterId) =>
        parts.map(({ lowOffset, ...part }) => {
          const never = { lastOffset: null, lastFingerprint: null, untilOffset: null };
          return { ...part, ...never, nextOffset: lowOffset, clusterId };
        }),
      acceptLoss: () => '',
    },
    stage: {
      prepare: (chunks) => chunks,
      apply: async (chunks) => {
        for (const { partition, records } of chunks)
          for (const { key, value } of records) told.push({ partition, key: key?.toString(), change: decoded(value) });
        return 'applied';
      },
    },
    log,
    metrics: new Metrics(),
  });
  try {
    await eventually(() => told.length >= total, { what: 'the change stream to be read', everyMs: 20 });
  } finally {
    await consumer.stop();
  }
  return told;
}

function decoded(value: Buffer | null): LeakageChange {
  const result = changes.decode(value ?? Buffer.alloc(0));
  if (!result.ok) throw new Error(`a record of the change stream is none: ${result.error}`);
  return result.event;
}

/** What docs/changes.md tells a consumer to do: skip what it has seen, keep the last fact of each member and call. */
export class Follower {
  readonly #seen = new Map<string, number>();
  readonly facts = new Map<number, Map<string, LeakageFact>>();
  /** What was not skipped, as generation/shard/seq. */
  readonly taken: string[] = [];
  skipped = 0;

  take({ partition, change }: ToldChange): void {
    const { generation, shard, seq, before, after } = change;
    const place = `${partition}/${generation}/${shard}`;
    if (seq <= (this.#seen.get(place) ?? 0)) {
      this.skipped += 1;
      return;
    }
    this.#seen.set(place, seq);
    this.taken.push(`${generation}/${shard}/${seq}`);
    const facts = this.facts.get(generation) ?? new Map<string, LeakageFact>();
    this.facts.set(generation, facts);
    const key = JSON.stringify([(after ?? before)?.member_id, change.call_id]);
    if (after === null) facts.delete(key);
    else facts.set(key, after);
  }

  /** One line per fact, sorted. */
  lines(generation: number): string[] {
    return [...(this.facts.get(generation)?.values() ?? [])].map(line).sort();
  }
}

export function follow(told: readonly ToldChange[]): Follower {
  const follower = new Follower();
  for (const one of told) follower.take(one);
  return follower;
}

/** The facts of silver as its view shows them. */
export async function shownFacts(pool: Pool, generation: number): Promise<string[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `select *, time_to_call_minutes::float8 as time_to_call_minutes, sentiment_score::float8 as sentiment_score,
            local_date::text as local_date
       from silver_${generation}.digital_call_leakage`,
  );
  return rows.map(line).sort();
}

/** Of every call change in the log of a generation, as generation/shard/seq; the log must not have been trimmed. */
export async function loggedCalls(pool: Pool, generation: number): Promise<string[]> {
  const { rows } = await pool.query<{ place: string }>(
    `select $1::int || '/' || l.shard || '/' || (l.seq + e.nr - 1) as place
       from silver_${generation}.change_log l
      cross join lateral json_array_elements(l.changes::json) with ordinality as e (change, nr)
      where e.change ->> 0 = 'call'`,
    [generation],
  );
  return rows.map(({ place }) => place).sort();
}

/** Waits until everything that is to be told was told, and acknowledged. */
export async function relayed(pool: Pool): Promise<void> {
  await eventually(
    async () => {
      const { rows } = await pool.query<{ untold: number; speaks: boolean }>(
        `select coalesce(sum(coalesce(r.until_seq, s.change_seq) + 1 - r.next_seq), 0)::bigint as untold,
                count(*) filter (where r.until_seq is null) = 12 and count(*) = 12 as speaks
           from ops.reader r join ops.shard s using (generation, shard) where r.reader = 'changes'`,
      );
      return rows[0]?.speaks === true && rows[0].untold === 0;
    },
    { what: 'all changes to be told', withinMs: 60_000, everyMs: 50 },
  );
}

function line(row: object): string {
  return JSON.stringify(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}
