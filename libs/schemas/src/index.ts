export {
  type Contract,
  changes,
  contracts,
  type Decoded,
  type Encoder,
  type Encoders,
  type LearningReader,
  type Reader,
  type Readers,
  type SchemaVersion,
} from './contracts.ts';
export type {
  CallLog,
  DigitalJourneyEvent,
  EventOf,
  LeakageChange,
  LeakageFact,
  MemberProfile,
} from './events.ts';
export { dateOfDays, daysOfDate, isInstantInRange, parseInstant } from './instants.ts';
export type { Kind } from './shape.ts';
export { partitionOf, shardOf } from './shard.ts';
export {
  allTopics,
  changesTopic,
  PARTITIONS,
  SOURCES,
  type Source,
  sourceOfTopic,
  type TopicSpec,
  topicName,
  topicTable,
} from './topics.ts';
