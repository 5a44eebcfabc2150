import type { KafkaRecord, PartitionChunk } from '@leakage/kafka';
import type { Policy } from '@leakage/postgres';
import { contractReading } from '@leakage/registry';
import {
  type CallLog,
  contracts,
  type DigitalJourneyEvent,
  type MemberProfile,
  type Source,
  shardOf,
  sourceOfTopic,
  topicName,
} from '@leakage/schemas';
import { DEFAULT_RULES, openRuleBook, type Rules } from '../domain/rules.ts';
import type { PrepareOptions } from '../prepare.ts';

export const PREFIX = 'test';

/** Nothing valid is refused. */
export const NO_POLICY: Policy = {
  version: 1,
  refusedBefore: null,
  untoldBefore: null,
  quarantineKeptFrom: null,
  erased: null,
};

export type SentRecord =
  | { readonly source: 'journeys'; readonly event: DigitalJourneyEvent }
  | { readonly source: 'calls'; readonly event: CallLog }
  | { readonly source: 'members'; readonly event: MemberProfile };

export function prepareOptions(rules: Rules = DEFAULT_RULES): PrepareOptions {
  return {
    book: openRuleBook(rules, shardOf),
    policy: NO_POLICY,
    losses: [],
    again: false,
    sourceOf: (topic) => sourceOfTopic(PREFIX, topic),
    reading: contractReading,
  };
}

export function encode(record: SentRecord): Buffer {
  if (record.source === 'journeys') return contracts.journeys.encode(record.event);
  if (record.source === 'calls') return contracts.calls.encode(record.event);
  return contracts.members.encode(record.event);
}

/** Topics without Kafka: records get the partitions and offsets that a well-behaved producer would give them. */
export class FakeTopics {
  readonly #next = new Map<string, number>();
  readonly #read = new Map<string, number>();

  send(record: SentRecord, partition = shardOf(record.event.member_id ?? '')): KafkaRecord {
    return this.sendBytes(record.source, encode(record), {
      partition,
      timestampMs: (record.event.emitted_at ?? 0) + 500,
    });
  }

  sendBytes(
    source: Source,
    value: Buffer | null,
    { partition, timestampMs }: { partition: number; timestampMs: number },
  ): KafkaRecord {
    const topic = topicName(PREFIX, source);
    const lane = `${topic}/${partition}`;
    const offset = this.#next.get(lane) ?? 0;
    this.#next.set(lane, offset + 1);
    return { topic, partition, offset, timestampMs, key: null, value, headers: null };
  }

  /** The next chunks of the log: `records` must be what was sent since the last call, in any order of the lanes. */
  deliver(records: readonly KafkaRecord[]): PartitionChunk[] {
    const lanes = new Map<string, KafkaRecord[]>();
    for (const record of records) {
      const lane = `${record.topic}/${record.partition}`;
      lanes.set(lane, [...(lanes.get(lane) ?? []), record]);
    }
    return [...lanes].map(([lane, group]) => {
      const expectedOffset = this.#read.get(lane) ?? 0;
      const nextOffset = expectedOffset + group.length;
      this.#read.set(lane, nextOffset);
      const [first] = group;
      const { topic, partition } = first ?? { topic: '', partition: 0 };
      return {
        topic,
        partition,
        expectedOffset,
        nextOffset,
        lastOffset: nextOffset - 1,
        lastFingerprint: 1,
        holes: 0,
        records: group,
      };
    });
  }
}
