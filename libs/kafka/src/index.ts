export type { KafkaClient } from './client.ts';
export { createKafkaClient } from './client.ts';
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
  TopicSpec,
} from './types.ts';

import type { KafkaClient } from './client.ts';
import type { ConsumerOptions, KafkaConsumer, PartitionEnds, Publisher, PublisherOptions, TopicSpec } from './types.ts';

export declare function ensureTopics(
  client: KafkaClient,
  table: readonly TopicSpec[],
): Promise<{ created: string[]; differences: string[] }>;
export declare function topicOffsets(client: KafkaClient, topics: readonly string[]): Promise<PartitionEnds[]>;
export declare function startPublisher(client: KafkaClient, o: PublisherOptions): Promise<Publisher>;
export declare function startConsumer<P>(o: ConsumerOptions<P>): Promise<KafkaConsumer>;
