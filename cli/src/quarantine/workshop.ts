import { readFile } from 'node:fs/promises';
import { type Pool, writerSchemaStore } from '@leakage/postgres';
import { openEncoders, openReaders, type Reading, RegistrySilentError } from '@leakage/registry';
import {
  HealthState,
  loadSettings,
  readEnvironment,
  registryReaderSettings,
  registryWriterSettings,
  schemaSettings,
} from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import { quietLogger } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { type Fix, FixError, parseFix } from './fix.ts';
import { type Judge, startJudge } from './judge.ts';
import { QuarantineStore } from './quarantine-store.ts';
import { Repairer } from './repairer.ts';

/** The active generation and where its tables are. */
export interface Place {
  readonly generation: number;
  readonly bronzeSchema: string;
  readonly silverSchema: string;
}

export async function placeOf(pool: Pool): Promise<Place> {
  const { bronzeSchema, silverSchema } = loadSettings(schemaSettings, readEnvironment());
  const generation = await existingGeneration(pool);
  const { rows } = await pool.query<{ there: boolean }>(`select to_regclass('ops.repair') is not null as there`);
  if (rows[0]?.there !== true) {
    throw new CommandError(
      'This database is of an earlier release: start the services (npm start), or run leakage init.',
    );
  }
  return { generation, bronzeSchema, silverSchema: `${silverSchema}_${generation}` };
}

/** Reads values of any schema that a registry knows. What it learns, it keeps to itself: others write that down. */
export function openReading(pool: Pool): Reading {
  const { schemaRegistryUrl: url, schemaRegistryWaitSeconds } = loadSettings(registryReaderSettings, readEnvironment());
  const learned = writerSchemaStore(pool);
  return openReaders({
    url,
    waitMs: schemaRegistryWaitSeconds * 1_000,
    store: { load: (registry, id) => learned.load(registry, id), save: async () => undefined },
    log: quietLogger('quarantine'),
    health: new HealthState(),
    signal: new AbortController().signal,
  });
}

export async function readFix(file: string): Promise<Fix> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 2);
  }
  try {
    return parseFix(text);
  } catch (error) {
    if (!(error instanceof FixError)) throw error;
    throw new CommandError(`${file} is no fix:\n${error.problems.map((problem) => `  ${problem}`).join('\n')}`, 2);
  }
}

/** What repairing takes: the quarantine, a fix, and somebody who knows the rules. */
export interface Workshop {
  readonly place: Place;
  readonly quarantine: QuarantineStore;
  readonly repairer: Repairer;
  readonly judge: Judge;
}

export async function withWorkshop<T>(
  { pool, fix, topicPrefix }: { readonly pool: Pool; readonly fix: Fix; readonly topicPrefix: string },
  work: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const place = await placeOf(pool);
  const { schemaRegistryUrl: url, schemaRegistryRegister: register } = loadSettings(
    registryWriterSettings,
    readEnvironment(),
  );
  const log = quietLogger('quarantine');
  const encoders = await openEncoders({ url, register, topicPrefix, sources: [fix.source], log }).catch(explained);
  const judge = startJudge(place.generation);
  try {
    return await work({
      place,
      quarantine: new QuarantineStore(pool, place.silverSchema),
      repairer: new Repairer({ fix, reading: openReading(pool), encoders }),
      judge,
    });
  } finally {
    await judge.stop();
  }
}

function explained(error: unknown): never {
  if (error instanceof RegistrySilentError)
    throw new CommandError(`${error.message}: start it, or check SCHEMA_REGISTRY_URL.`);
  throw error;
}
