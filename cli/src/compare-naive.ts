import { naiveJoin } from '@leakage/oracle';
import { loadGeneration, type Pool } from '@leakage/postgres';
import { CommandError } from './command-error.ts';
import { type Comparison, comparisonOf } from './compare-naive/report.ts';
import { existingGeneration } from './generation.ts';

export interface CompareNaiveOptions {
  bronzeSchema: string;
  silverSchema: string;
}

/** Runs the naive join of the original over the cleaned tables of the active generation, beside the facts, in one snapshot. */
export async function compareNaive(pool: Pool, o: CompareNaiveOptions): Promise<Comparison> {
  const id = await existingGeneration(pool);
  const generation = await loadGeneration(pool, id);
  if (generation === null) throw new CommandError(`Generation ${id} has disappeared: try again.`);
  return await pool.withConnection(async (connection) => {
    await connection.query('begin isolation level repeatable read');
    try {
      const naive = await naiveJoin((sql, params) => connection.query(sql, params), {
        windowMs: generation.rules.windowMs,
        schemas: { bronze: o.bronzeSchema, silver: `${o.silverSchema}_${id}` },
      });
      const { rows } = await connection.query<{ cents: number }>(
        `select round(100 * value)::bigint as cents from ops.parameter where name = 'cost_per_call'`,
      );
      return comparisonOf(naive, {
        generation: id,
        windowMs: generation.rules.windowMs,
        costPerCallCents: rows[0]?.cents ?? null,
      });
    } finally {
      if (connection.lost === null) await connection.query('rollback');
    }
  });
}
