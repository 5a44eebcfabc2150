import { createPool, type Pool, type PoolOptions } from './pool.ts';

/** Lends a pool for the time of `work`. */
export async function withPool<T>(o: PoolOptions, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool(o);
  try {
    return await work(pool);
  } finally {
    await pool.stop();
  }
}
