export { type Assignment, assignPartitions, type Subscriber } from './assigner.ts';
export { createKafkaClient, type KafkaClient, type KafkaClientOptions } from './client.ts';
export { type KafkaAccess, kafkaClientOptions } from './client-options.ts';
export { startConsumer } from './consumer.ts';
export { ConsumerError, LogLostError, LogReplacedError, OtherClusterError, StalledError } from './errors.ts';
export { pacedStage } from './paced-stage.ts';
export { startPublisher } from './publisher.ts';
export { clusterIdOf, compareTopics, ensureTopics, offsetsSince, topicOffsets } from './topics.ts';
export type {
  ApplyResult,
  Compression,
  ConsumerLimits,
  ConsumerOptions,
  KafkaConsumer,
  KafkaRecord,
  LostRange,
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
