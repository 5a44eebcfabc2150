/** Where a record is in Kafka. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** Written as topic/partition/offset; the name of a topic has no slash. */
export function positionText({ topic, partition, offset }: Position): string {
  return `${topic}/${partition}/${offset}`;
}

/** Null for what is no position. */
export function positionOf(text: string): Position | null {
  const [, topic = '', partition, offset] = /^([A-Za-z0-9._-]{1,249})\/(\d{1,9})\/(\d{1,15})$/.exec(text) ?? [];
  return topic === '' ? null : { topic, partition: Number(partition), offset: Number(offset) };
}
