export { startArchiveReader } from './archive-reader.ts';
export { type Assignment, assignPartitions, type Subscriber } from './assigner.ts';
export { createKafkaClient, type KafkaClient, type KafkaClientOptions } from './client.ts';
export { type KafkaAccess, kafkaClientOptions } from './client-options.ts';
export { startConsumer } from './consumer.ts';
export {
  ArchiveLacksError,
  ConsumerError,
  LogLostError,
  LogReplacedError,
  OtherClusterError,
  StalledError,
} from './errors.ts';
export { startPublisher } from './publisher.ts';
export { clusterIdOf, compareTopics, ensureTopics, offsetsSince, topicOffsets } from './topics.ts';
export type {
  ApplyResult,
  ArchivedPartition,
  ArchiveReader,
  ArchiveReaderOptions,
  Compression,
  ConsumerLimits,
  ConsumerOptions,
  KafkaConsumer,
  KafkaRecord,
  LostRange,
  OffsetRange,
  OutgoingRecord,
  Pace,
  PartitionChunk,
  PartitionEnds,
  PositionStore,
  PublishedRange,
  Publisher,
  PublisherOptions,
  RecordArchive,
  RecordHeaders,
  Stage,
  StoredPosition,
} from './types.ts';
