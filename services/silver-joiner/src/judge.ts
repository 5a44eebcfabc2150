import { SOURCES, type Source } from '@leakage/schemas';
import { type PrepareOptions, prepareBatch } from './prepare.ts';
import { BatchEncoder } from './staging.ts';

/** A record that nobody has sent yet, as a line of JSON. */
interface Question {
  readonly source: Source;
  /** When Kafka would have got it, in epoch milliseconds. */
  readonly timestampMs: number;
  /** In base64; null: no value. */
  readonly value: string | null;
}

/** What silver would do with it: quarantine it for these reasons, or keep it with these warnings. */
export interface Verdict {
  readonly ok: boolean;
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
}

/** Judges records by the code that prepares them for silver, each as a batch of its own. Nothing of them is stored. */
export class RecordJudge {
  readonly #prepare: PrepareOptions;
  readonly #encoder = new BatchEncoder();

  constructor(prepare: Omit<PrepareOptions, 'sourceOf'>) {
    this.#prepare = { ...prepare, sourceOf: (topic) => SOURCES.find((source) => source === topic) ?? null };
  }

  /** Throws RangeError for a line that is no question. */
  async judge(line: string): Promise<Verdict> {
    const { source, timestampMs, value } = questionOf(line);
    const at = { topic: source, partition: 0 };
    const bytes = value === null ? null : Buffer.from(value, 'base64');
    const record = { ...at, offset: 0, timestampMs, key: null, value: bytes, headers: null };
    const chunk = { ...at, expectedOffset: 0, nextOffset: 1, lastOffset: 0, lastFingerprint: null, holes: 0 };
    const batch = await prepareBatch([{ ...chunk, records: [record] }], this.#prepare, this.#encoder);
    const reasons = batch.quarantined.flatMap((one) => one.reasons);
    return { ok: reasons.length === 0, reasons, warnings: [...batch.quality[source].warnings.keys()] };
  }
}

function questionOf(line: string): Question {
  const asked = JSON.parse(line) as Partial<Record<keyof Question, unknown>> | null;
  const source = SOURCES.find((one) => one === asked?.source);
  const { timestampMs, value } = asked ?? {};
  if (source === undefined || typeof timestampMs !== 'number' || (typeof value !== 'string' && value !== null)) {
    throw new RangeError('a question is {"source": ..., "timestampMs": ..., "value": base64 or null}');
  }
  return { source, timestampMs, value };
}
