import { migrate } from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';
import type { GoldSchemas } from './gold-store.ts';

export const goldMigrations = new URL('../migrations/', import.meta.url);

/** Brings the schema of a generation of gold to its newest form. Silver's tables must exist: the views read them. */
export async function makeGold(
  o: Pick<GoldSchemas, 'silver' | 'gold'> & { readonly url: string; readonly log: Logger },
): Promise<void> {
  const { url, silver, gold, log } = o;
  await migrate({ url, schemas: [gold, silver], directory: goldMigrations, log });
}
