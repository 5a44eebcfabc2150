import type { Pool } from '@leakage/postgres';
import { readEnvironment } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import { connectKafka } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { endsOrTrouble } from '../status/ends.ts';
import { behind, ofPipeline, readPositions } from '../status/positions.ts';

/** How many records silver has still to read, whose calls count as missed; or a sentence that says why that is not known. */
export async function unreadBySilver(pool: Pool): Promise<number | string> {
  if (readEnvironment().KAFKA_BROKERS === undefined) return 'Lag is not known: KAFKA_BROKERS is not set.';
  const { kafka, topicPrefix } = connectKafka('score');
  // The ends first: what comes in between is counted as read, never the other way round.
  const ends = await endsOrTrouble(
    kafka,
    topicTable(topicPrefix).map((topic) => topic.name),
  );
  if (typeof ends === 'string') return ends;
  return behind(ends, ofPipeline(await readPositions(pool, await existingGeneration(pool)), 'silver'));
}
