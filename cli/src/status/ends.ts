import { type KafkaClient, topicOffsets } from '@leakage/kafka';
import { answersAt } from '../probe.ts';
import type { End } from './positions.ts';

/** Where each topic ends, or a sentence that says why that is not known: without Kafka the database still has much to tell. */
export async function endsOrTrouble(kafka: KafkaClient, topics: readonly string[]): Promise<End[] | string> {
  const { brokers } = kafka;
  const answers = await Promise.all(brokers.map((broker) => answersAt(`kafka://${broker}`)));
  if (!answers.includes(true)) return `Lag is not known: nothing listens at ${brokers.join(', ')} (KAFKA_BROKERS).`;
  try {
    return await topicOffsets(kafka, topics);
  } catch (error) {
    return `Lag is not known: ${error instanceof Error ? error.message : String(error)}.`;
  }
}
