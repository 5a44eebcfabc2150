import { activeGeneration, type Pool } from '@leakage/postgres';
import { CommandError } from './command-error.ts';

/** The wanted generation, else the active one, or a CommandError that says that there is none. */
export async function existingGeneration(pool: Pool, wanted?: number): Promise<number> {
  const { rows } = await pool.query<{ there: boolean }>(`select to_regclass('ops.generation') is not null as there`);
  const generation = rows[0]?.there === true ? (wanted ?? (await activeGeneration(pool))) : null;
  if (generation === null) {
    throw new CommandError('This database holds no generation of silver yet: start the pipeline with npm start.');
  }
  return generation;
}
