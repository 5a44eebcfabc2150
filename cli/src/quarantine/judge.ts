import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { withDeadline } from '@leakage/runtime';
import type { Source } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';

const silver = join(import.meta.dirname, '..', '..', '..', 'services', 'silver-joiner', 'src', 'main.ts');
/** Longer than a registry is waited for at most. */
const answerWithinMs = 300_000;
/** More than that is not for a person to read. */
const saidLines = 20;

/** A record that nobody has sent yet. */
export interface Question {
  readonly source: Source;
  /** When Kafka got it, in epoch milliseconds. */
  readonly timestampMs: number;
  readonly value: Buffer | null;
}

/** What silver's rules would do with it. */
export interface Verdict {
  readonly ok: boolean;
  /** Why it would be quarantined. */
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
}

export interface Judge {
  /** The verdicts in the order of the questions. Throws CommandError when silver-joiner does not answer. */
  ask(questions: readonly Question[]): Promise<Verdict[]>;
  stop(): Promise<void>;
}

/** Has silver-joiner itself judge, with the rules of a generation: the command line knows none of them. */
export function startJudge(generation: number): Judge {
  const child = spawn(process.execPath, [silver, '--judge'], {
    env: { ...process.env, LOG_LEVEL: 'error', GENERATION: String(generation) },
    stdio: ['pipe', 'pipe', 'pipe'],
    // Ctrl-C is for us: we end it when our batch is over. If we are killed, its questions end, and it with them.
    detached: true,
  });
  const said: string[] = [];
  createInterface(child.stderr).on('line', (line) => said.push(wordsOf(line)));
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ended = once(child, 'close') as Promise<[number | null]>;
  ended.catch(() => undefined); // that it could not be started is met by whoever asks
  child.stdin.on('error', () => undefined); // it has ended: said below

  const answer = async (): Promise<Verdict> => {
    const { value, done } = await answers.next();
    if (done !== true) return JSON.parse(value) as Verdict;
    const [code] = await ended;
    const why = said.slice(-saidLines).join('\n') || 'it says nothing';
    throw new CommandError(
      `silver-joiner, which judges the records, ended with code ${code}: ${why}`,
      code === 2 ? 2 : 1,
    );
  };
  return {
    async ask(questions) {
      const lines = questions.map(({ source, timestampMs, value }) =>
        JSON.stringify({ source, timestampMs, value: value?.toString('base64') ?? null }),
      );
      child.stdin.write(lines.map((line) => `${line}\n`).join(''));
      const verdicts: Verdict[] = [];
      const all = async (): Promise<Verdict[]> => {
        while (verdicts.length < questions.length) verdicts.push(await answer());
        return verdicts;
      };
      return await withDeadline(all(), answerWithinMs, 'the judgement of silver-joiner');
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
