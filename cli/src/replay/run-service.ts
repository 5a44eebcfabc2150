import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Interruption } from '../up/interruption.ts';
import type { ReplayState } from './replay-store.ts';

const projectFolder = join(import.meta.dirname, '..', '..', '..');
/** What it said last is what matters. */
const errorsKept = 5;

export interface RunEnd {
  /** Null: a signal ended it. */
  readonly code: number | null;
  /** Its last errors, or what it printed as plain text. */
  readonly said: readonly string[];
}

/**
 * Runs the service as a process that works on a replay and nothing else, until that is done or the process is stopped: by us,
 * when we are interrupted, by itself, when the replay is paused or cancelled. When we are gone, it stops in order too.
 */
export async function runReplayService(
  { service, id, generation }: ReplayState,
  { interruption, env = process.env }: { readonly interruption: Interruption; readonly env?: NodeJS.ProcessEnv },
): Promise<RunEnd> {
  const child = spawn(process.execPath, [join(projectFolder, 'services', service, 'src', 'main.ts')], {
    env: {
      ...env,
      REPLAY: String(id),
      ...(generation === null ? {} : { GENERATION: String(generation) }),
      METRICS_PORT: '0',
      METRICS_HOST: '127.0.0.1',
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const said: string[] = [];
  const hear = (text: string): void => {
    if (text !== '') said.splice(0, Math.max(0, said.push(text) - errorsKept));
  };
  const heard = Promise.all([linesOf(child.stdout, (line) => hear(errorOf(line))), linesOf(child.stderr, hear)]);
  // A terminal sends Ctrl-C to both processes: closing the channel stops it in order either way, and is no second signal.
  const stop = (): void => {
    if (child.connected) child.disconnect();
  };
  interruption.signal.addEventListener('abort', stop);
  if (interruption.signal.aborted) stop();
  interruption.onInsist(() => child.kill('SIGKILL'));
  // Not its 'close', which never comes when the channel was closed from this side.
  const [code] = (await once(child, 'exit')) as [number | null];
  await heard;
  interruption.signal.removeEventListener('abort', stop);
  return { code, said };
}

/** Until the stream ends. */
async function linesOf(stream: Readable | null, hear: (line: string) => void): Promise<void> {
  if (stream === null) return;
  for await (const line of createInterface(stream)) hear(line);
}

function errorOf(line: string): string {
  try {
    const { level, msg } = JSON.parse(line) as { readonly level?: string; readonly msg?: string };
    return level === 'error' || level === 'fatal' ? (msg ?? '') : '';
  } catch {
    return line;
  }
}
