export { createKafkaClient, type KafkaClient, type KafkaClientOptions } from './client.ts';
export { startPublisher } from './publisher.ts';
export { ensureTopics, topicOffsets } from './topics.ts';
export type {
  ApplyResult,
  Compression,
  ConsumerLimits,
  ConsumerOptions,
  KafkaConsumer,
  KafkaRecord,
  OutgoingRecord,
  PartitionChunk,
  PartitionEnds,
  PositionStore,
  PublishedRange,
  Publisher,
  PublisherOptions,
  RecordHeaders,
  Stage,
  StoredPosition,
} from './types.ts';

import type { ConsumerOptions, KafkaConsumer } from './types.ts';
export declare function startConsumer<P>(o: ConsumerOptions<P>): Promise<KafkaConsumer>;
