import { retry } from '@leakage/runtime';
import kafkajs, { type Admin } from 'kafkajs';

/** How long a broker that has just started may need to load its groups: about 40 s. */
const coordinatorRetry = { attempts: 20, baseMs: 100, maxMs: 3_000 } as const;

/**
 * Waits until the group's coordinator answers. kafkajs retries nearly everything but this: a consumer that joins while
 * the coordinator loads its groups, as after every start of a broker, crashes at once.
 */
export async function coordinatorAnswers(admin: Admin, groupId: string, signal: AbortSignal): Promise<void> {
  await retry(() => admin.describeGroups([groupId]), {
    ...coordinatorRetry,
    signal,
    retryable: (error) => error instanceof kafkajs.KafkaJSError && error.retriable,
  });
}
