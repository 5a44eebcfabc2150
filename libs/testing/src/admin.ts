import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';

/** Work on the test server as its administrator, on one connection that is closed afterwards. */
export async function withAdmin<T>(adminUrl: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const log = createLogger({ service: 'testing', level: 'error' });
  const pool = createPool({ url: adminUrl, applicationName: 'leakage-testing', max: 1, log });
  try {
    return await work(pool);
  } finally {
    await pool.stop();
  }
}
