import { createKafkaClient, type KafkaAccess, topicOffsets } from '@leakage/kafka';
import { type Logger, withDeadline } from '@leakage/runtime';
import type { PartitionEnd } from './domain/lag.ts';

/** The ends of the topics, or null while Kafka cannot be asked. */
export type TopicEnds = () => Promise<readonly PartitionEnd[] | null>;

const keepMs = 1_000;
const waitMs = 4_000;

/** Asks Kafka at most once a second however many ask us; somebody who waits gets null after four seconds, not an error. */
export function topicEnds(o: {
  readonly access: KafkaAccess;
  readonly topics: readonly string[];
  readonly log: Logger;
}): TopicEnds {
  const client = createKafkaClient({ ...o.access, clientId: 'leakage-api', log: o.log });
  return shared(() => topicOffsets(client, o.topics), o.log);
}

export function shared(ask: () => Promise<readonly PartitionEnd[]>, log: Logger): TopicEnds {
  let asked: {
    readonly at: number;
    readonly answer: Promise<readonly PartitionEnd[] | null>;
    pending: boolean;
  } | null = null;
  const begin = () => {
    const answer = ask().catch((error: unknown) => {
      log.debug({ err: error }, 'Kafka does not say where its topics end');
      return null;
    });
    const current = { at: performance.now(), answer, pending: true };
    void answer.then(() => {
      current.pending = false;
    });
    return current;
  };
  return async () => {
    // A question that is still open is not asked again: a Kafka in trouble gets one at a time.
    if (asked === null || (!asked.pending && performance.now() - asked.at > keepMs)) asked = begin();
    try {
      return await withDeadline(asked.answer, waitMs, 'asking Kafka for the ends of topics');
    } catch (error) {
      log.debug({ err: error }, 'Kafka does not answer');
      return null;
    }
  };
}
