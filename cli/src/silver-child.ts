import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { withDeadline } from '@leakage/runtime';
import { CommandError } from './command-error.ts';

const silver = join(import.meta.dirname, '..', '..', 'services', 'silver-joiner', 'src', 'main.ts');
/** More than that is not for a person to read. */
const saidLines = 20;

export interface SilverChildOptions {
  readonly generation: number;
  /** What it is there for, as a part of a sentence. */
  readonly does: string;
  readonly answerWithinMs: number;
}

/** A silver-joiner that answers lines with lines of JSON. */
export interface SilverChild {
  /** One answer for each line, in their order. Throws CommandError when it does not answer. */
  ask<T>(lines: readonly string[]): Promise<T[]>;
  stop(): Promise<void>;
}

/** Has silver-joiner itself do what only its rules can say: the command line knows none of them. */
export function startSilverChild(mode: '--judge' | '--erase', o: SilverChildOptions): SilverChild {
  const child = spawn(process.execPath, [silver, mode], {
    env: { ...process.env, LOG_LEVEL: 'error', GENERATION: String(o.generation) },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C is for us: we end it when it has answered. If we are killed, its lines end, and it with them.
    detached: true,
  });
  const said: string[] = [];
  createInterface(child.stderr).on('line', (line) => said.push(wordsOf(line)));
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, 'close') as Promise<[number | null]>;
  ended.catch(() => undefined); // that it could not be started is met by whoever asks
  child.stdin.on('error', () => undefined); // it has ended: said below

  const answer = async <T>(): Promise<T> => {
    const { value, done } = await answers.next();
    if (done !== true) return JSON.parse(value) as T;
    const [code] = await ended;
    const why = said.slice(-saidLines).join('\n') || 'it says nothing';
    throw new CommandError(`silver-joiner, which ${o.does}, ended with code ${code}: ${why}`, code === 2 ? 2 : 1);
  };
  return {
    async ask<T>(lines: readonly string[]) {
      child.stdin.write(lines.map((line) => `${line}\n`).join(''));
      const found: T[] = [];
      const all = async (): Promise<T[]> => {
        while (found.length < lines.length) found.push(await answer<T>());
        return found;
      };
      return await withDeadline(all(), o.answerWithinMs, 'the answer of silver-joiner');
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

function wordsOf(line: string): string {
  try {
    const { msg } = JSON.parse(line) as { readonly msg?: string };
    return msg ?? line;
  } catch {
    return line;
  }
}
