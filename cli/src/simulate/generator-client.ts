import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError } from '../command-error.ts';
import { generatorFolder } from '../generator-folder.ts';

const ANSWER_MS = 30_000;

/** What a running generator says of itself; instants are ISO 8601 in UTC. */
export interface GeneratorStatus {
  readonly seed: number;
  readonly simulated: string;
  readonly nextRecord: string | null;
  readonly paused: boolean;
  readonly speed: number;
  readonly records: number;
  readonly history: 'running' | 'published';
  readonly changes: readonly Change[];
  readonly disturbances: readonly Disturbance[];
}

/** Instants are epoch milliseconds. */
export interface Change {
  readonly id: number;
  readonly from: number;
  readonly scope: Readonly<Record<string, string>>;
  readonly leakage: number;
  readonly repeats: number;
  readonly rolloutDays: number;
}

export type Disturbance = { readonly id: number; readonly from: number; readonly until: number } & (
  | { readonly kind: 'outage'; readonly source: string; readonly lost: boolean }
  | { readonly kind: 'duplicates'; readonly source: string | null; readonly copies: number }
  | { readonly kind: 'delay'; readonly source: string; readonly partition: number; readonly delayMs: number }
  | { readonly kind: 'schema'; readonly source: string; readonly breaking: boolean }
);

/** Asks the generator whose folder this is; throws a CommandError that says what to do. */
export async function askGenerator<T>(
  folder: string | undefined,
  path: string,
  body?: Readonly<Record<string, unknown>>,
): Promise<T> {
  const { port, token } = await controlOf(folder);
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const answer = (await response.json()) as T & { readonly error?: string };
    if (response.ok) return answer;
    const why = answer.error ?? response.statusText;
    throw new CommandError(`The generator refuses: ${why}.`, response.status === 400 ? 2 : 1);
  } catch (error) {
    if (error instanceof CommandError) throw error;
    // Nothing listens there, or something else does.
    throw new CommandError('The generator does not answer: it was ended without order. Start it again.', 1, {
      cause: error,
    });
  }
}

async function controlOf(folder: string | undefined): Promise<{ port: number; token: string }> {
  const path = join(generatorFolder(folder), 'control.json');
  try {
    return JSON.parse(await readFile(path, 'utf8')) as { port: number; token: string };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new CommandError(
        `No generator runs with this folder: there is no ${path}. Start one with \`leakage up\` or \`leakage generate\`, or give its folder with --output-path.`,
      );
    }
    throw new CommandError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
