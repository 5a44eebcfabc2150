import { activeGeneration, type Pool } from '@leakage/postgres';
import { daysOf } from '../verify/report.ts';
import { readVerifications } from '../verify/verification-store.ts';

const lookEveryMs = 5_000;

/** To be called again and again: says of each verification that found differences, once, that it did. */
export function differenceTeller(pool: Pool, say: (line: string) => void): () => Promise<void> {
  let nextAt = 0;
  let told = '';
  return async () => {
    if (performance.now() < nextAt) return;
    nextAt = performance.now() + lookEveryMs;
    const generation = await activeGeneration(pool);
    const { newest } = generation === null ? { newest: null } : await readVerifications(pool, generation);
    if (newest === null || newest.ok || newest.endedAt === told) return;
    told = newest.endedAt;
    const scope = daysOf({ from: newest.fromDay, to: newest.toDay });
    say(
      `DIFFERENT: a verification (${scope}) found differences in ${newest.differing.length} checks: ` +
        `${newest.differing.join('; ')}. npx leakage verify shows the rows.`,
    );
  };
}
