import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Change } from './domain/changes.ts';
import type { Disturbance } from './domain/disturbances.ts';
import { GENERATOR_VERSION } from './domain/parameters.ts';
import type { StreamPosition } from './domain/stream.ts';
import type { Shape } from './domain/world.ts';
import type { FileFormat } from './sinks.ts';
import { unwritten } from './unwritten.ts';

/** How far a world was published: everything that a restart needs. */
export interface GeneratorState {
  version: number;
  /** Where the records go. */
  output: 'kafka' | FileFormat;
  topicPrefix: string;
  shape: Shape;
  /** What was done to the world since, in this order. */
  changes: Change[];
  disturbances: Disturbance[];
  position: StreamPosition;
  /** The simulated clock had reached the wall clock: after a restart it catches up, whatever SPEED is. */
  caughtUp: boolean;
  records: number;
  /** Length of the truth file that belongs to the position. */
  truthBytes: number;
  /** Lengths of the files that belong to the position, where the world is written into files. */
  fileBytes: Readonly<Record<string, number>>;
}

export function stateFile(folder: string): string {
  return join(folder, 'state.json');
}

export async function readState(folder: string): Promise<GeneratorState | null> {
  const path = stateFile(folder);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  const state = parse(text, path);
  if (state.version !== GENERATOR_VERSION) {
    throw new Error(
      `${path} was written by generator version ${state.version}, this is ${GENERATOR_VERSION}: its world cannot be continued. ${startAnew}`,
    );
  }
  return state;
}

export const startAnew =
  'Begin a new world with `leakage up --empty` (which forgets all earlier data), or set OUTPUT_PATH to another folder and TOPIC_PREFIX to another name';

/** Whole or not at all: a crash leaves the old state, and the records since then are published again as exact duplicates. */
export async function writeState(folder: string, state: GeneratorState): Promise<void> {
  const path = stateFile(folder);
  try {
    await writeFile(`${path}.new`, `${JSON.stringify(state)}\n`);
    await rename(`${path}.new`, path);
  } catch (error) {
    throw unwritten(path, error);
  }
}

function parse(text: string, path: string): GeneratorState {
  try {
    const state = JSON.parse(text) as GeneratorState;
    // The beginning, minus infinity, has no JSON form.
    return { ...state, position: { ...state.position, at: state.position.at ?? Number.NEGATIVE_INFINITY } };
  } catch (error) {
    throw new Error(
      `${path} is not readable (${error instanceof Error ? error.message : String(error)}). ${startAnew}`,
      {
        cause: error,
      },
    );
  }
}
