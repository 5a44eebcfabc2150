import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { withDeadline } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import type { Identities } from './erasure-store.ts';

const silver = join(import.meta.dirname, '..', '..', '..', 'services', 'silver-joiner', 'src', 'main.ts');
/** One transaction, and all that it may have to be run again. */
const answerWithinMs = 600_000;
/** More than that is not for a person to read. */
const saidLines = 20;

/** A part of an erasure; what silver-joiner knows of it is in its erase.ts. */
type Order =
  | { readonly what: 'member' | 'contents' | 'trim'; readonly memberId: string }
  | ({ readonly what: 'identities' } & Identities);

export interface Removed {
  readonly journeys: number;
  readonly calls: number;
  readonly members: number;
  readonly changes: number;
}

/** Has silver-joiner itself remove what was erased from a generation: the command line knows none of its rules. */
export interface SilverProcess {
  removeMember(memberId: string): Promise<Removed>;
  removeIdentities(identities: Identities): Promise<Removed>;
  removeContents(memberId: string): Promise<{ readonly contents: number }>;
  /** Who has not read all of the change log. */
  trim(memberId: string): Promise<{ readonly unread: readonly string[] }>;
  stop(): Promise<void>;
}

export function startSilver(generation: number): SilverProcess {
  const child = spawn(process.execPath, [silver, '--erase'], {
    env: { ...process.env, LOG_LEVEL: 'error', GENERATION: String(generation) },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C is for us: we end it when its transaction is over. If we are killed, its orders end, and it with them.
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
    throw new CommandError(
      `silver-joiner, which removes what generation ${generation} has, ended with code ${code}: ${why}`,
      code === 2 ? 2 : 1,
    );
  };
  const ask = async <T>(order: Order): Promise<T> => {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    return await withDeadline(answer<T>(), answerWithinMs, 'the answer of silver-joiner');
  };
  return {
    removeMember: (memberId) => ask({ what: 'member', memberId }),
    removeIdentities: (identities) => ask({ what: 'identities', ...identities }),
    removeContents: (memberId) => ask({ what: 'contents', memberId }),
    trim: (memberId) => ask({ what: 'trim', memberId }),
    stop: async () => {
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
