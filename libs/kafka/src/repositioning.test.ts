import type { Admin } from 'kafkajs';
import { expect, test } from 'vitest';
import { Intake } from './intake.ts';
import { reposition } from './repositioning.ts';
import type { StoredPosition } from './types.ts';

const topic = 't';
const limits = { maxBatchRecords: 10, maxBatchBytes: 1_000, bufferRecordsPerPartition: 20, bufferBytes: 1_000 };

/** Partitions 0 and 1 were assigned; the brokers that answer now are of cluster `now` and have partition 0 only. */
async function repositioned(now: string): Promise<void> {
  const intake = new Intake(limits);
  intake.assign([0, 1].map((partition) => ({ topic, partition })));
  const admin = {
    describeCluster: async () => ({ clusterId: now }),
    fetchTopicOffsets: async () => [{ partition: 0, offset: '5', low: '0', high: '5' }],
  } as unknown as Admin;
  const stored = {
    topic,
    nextOffset: 5,
    lastOffset: null,
    lastFingerprint: null,
    clusterId: 'first',
    untilOffset: null,
  };
  await reposition({
    intake,
    consumer: { seek: () => undefined, resume: () => undefined },
    admin,
    positions: {
      load: async (parts) => parts.map(({ partition }): StoredPosition => ({ ...stored, partition })),
      acceptLoss: () => '',
    },
    topics: [topic],
  });
}

test('an assigned partition that the brokers do not have is no riddle when they are of another cluster', async () => {
  await expect(repositioned('second')).rejects.toThrow(/the position of t\/0 belongs to Kafka cluster first, but/);
});

test('an assigned partition that the brokers of the same cluster do not have is said', async () => {
  await expect(repositioned('first')).rejects.toThrow(/nothing is known of t\/1 although it was assigned/);
});
