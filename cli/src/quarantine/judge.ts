import type { Source } from '@leakage/schemas';
import { startSilverChild } from '../silver-child.ts';

/** Longer than a registry is waited for at most. */
const answerWithinMs = 300_000;

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

/** Has silver-joiner itself judge, with the rules of a generation. */
export function startJudge(generation: number): Judge {
  const child = startSilverChild('--judge', { generation, does: 'judges the records', answerWithinMs });
  return {
    ask: (questions) =>
      child.ask<Verdict>(
        questions.map(({ source, timestampMs, value }) =>
          JSON.stringify({ source, timestampMs, value: value?.toString('base64') ?? null }),
        ),
      ),
    stop: () => child.stop(),
  };
}
