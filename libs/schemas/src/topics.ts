export type Source = 'journeys' | 'calls' | 'members';

export const SOURCES: readonly Source[] = ['journeys', 'calls', 'members'];

/** Partitions of every topic, and shards of the pipeline: one number, so that records of one member meet in one shard. */
export const PARTITIONS = 12;

export interface TopicSpec {
  name: string;
  partitions: number;
  config: Record<string, string>;
}

// LogAppendTime: event time lives in the payload, because back-dated record timestamps would make segments deletable at once.
const facts = { 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' };

export function topicName(prefix: string, source: Source | 'changes'): string {
  return `${prefix}.${source}`;
}

/** The topics that the product reads, and creates where they are missing. Profiles are kept for ever: every generation needs them all. */
export function topicTable(prefix: string): readonly TopicSpec[] {
  return SOURCES.map((source) => ({
    name: topicName(prefix, source),
    partitions: PARTITIONS,
    config: source === 'members' ? { ...facts, 'retention.ms': '-1' } : { ...facts },
  }));
}

/** The topic for outsiders. Nothing of ours reads it. */
export function changesTopic(prefix: string): TopicSpec {
  return { name: topicName(prefix, 'changes'), partitions: PARTITIONS, config: { ...facts } };
}

/** All topics of an installation: whether there is one for outsiders, RELAY_CHANGES says. */
export function allTopics(prefix: string, o: { readonly relayed: boolean }): readonly TopicSpec[] {
  return o.relayed ? [...topicTable(prefix), changesTopic(prefix)] : topicTable(prefix);
}

export function sourceOfTopic(prefix: string, topic: string): Source | null {
  return SOURCES.find((source) => topicName(prefix, source) === topic) ?? null;
}
