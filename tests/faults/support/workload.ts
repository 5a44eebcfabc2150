import { isDeepStrictEqual } from 'node:util';
import type { OutgoingRecord } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import { shardOf, topicName } from '@leakage/schemas';
import { type Vector, type VectorRecord, type VectorRow, type VectorStep, vectors } from '@leakage/testing';
import { randomOf, shuffled } from '../../support/random.ts';
import { actual, expected, outgoing } from '../../support/vectors.ts';

/** The columns that name something: they are made unique, so that one vector can be told any number of times. */
const identities = [
  'event_id',
  'member_id',
  'session_id',
  'call_id',
  'digital_event_id',
  'digital_session_id',
  'last_decisive_event_id',
];

/** Vectors of which every event has an id of its own: an id derived from the content would not follow the renaming. */
const tellable = vectors.filter(({ steps }) =>
  steps.every(({ records }) =>
    records.every(({ source, event }) => source !== 'journeys' || typeof event.event_id === 'string'),
  ),
);

interface Story {
  readonly name: string;
  readonly ends: VectorStep;
}

/**
 * A workload whose truth is known: the rules' test vectors, told by new members each time, with everything that happens to
 * records on their way: any order, copies, other partitions than their member's, garbage in between.
 */
export class Workload {
  readonly #prefix: string;
  readonly #random: () => number;
  readonly #seed: number;
  #told = 0;
  #untested: Story[] = [];
  #tested = 0;

  constructor(topicPrefix: string, seed: number) {
    this.#prefix = topicPrefix;
    this.#seed = seed;
    this.#random = randomOf(seed);
  }

  /** Stories of which the outcome was compared. */
  get tested(): number {
    return this.#tested;
  }

  /** The records of `stories` new stories, in the order in which they are to be sent. */
  tell(stories: number): OutgoingRecord[] {
    const records: VectorRecord[] = [];
    for (let n = 0; n < stories; n++) {
      this.#told += 1;
      const vector = tellable[Math.floor(this.#random() * tellable.length)] as Vector;
      const name = `${this.#seed.toString(36)}.${this.#told.toString(36)}.`;
      records.push(...vector.steps.flatMap((step) => step.records).map((record) => renamed(record, name)));
      const last = vector.steps.at(-1) as VectorStep;
      const ends = {
        ...last,
        facts: last.facts.map((row) => rowOf(row, name)),
        journeys: last.journeys.map((row) => rowOf(row, name)),
      };
      this.#untested.push({ name: `${vector.name} of ${name}`, ends });
    }
    const copies = records.filter(() => this.#random() < 0.15);
    const sent = shuffled([...records, ...copies], Math.floor(this.#random() * 2 ** 31));
    return sent.flatMap((record, nr) => [
      this.#placed(record, nr),
      ...(this.#random() < 0.03 ? [this.#garbage()] : []),
    ]);
  }

  /** What silver concludes about every story that was not compared yet, where it differs from what must hold. */
  async differences(pool: Pool): Promise<string[]> {
    const wrong: string[] = [];
    for (const { name, ends } of this.#untested) {
      const [is, must] = [await actual(pool, ends), expected(ends)];
      for (const kind of ['facts', 'journeys'] as const) {
        const at = must[kind].findIndex((row, nr) => !isDeepStrictEqual(row, is[kind][nr]));
        const differs = at >= 0 || is[kind].length !== must[kind].length;
        if (differs)
          wrong.push(`${name}: ${JSON.stringify(is[kind][at])} instead of ${JSON.stringify(must[kind][at])}`);
      }
    }
    this.#tested += this.#untested.length;
    this.#untested = [];
    return wrong;
  }

  #placed(record: VectorRecord, nr: number): OutgoingRecord {
    const out = outgoing(this.#prefix, record, nr);
    const home = typeof out.key === 'string' ? shardOf(out.key) : 0;
    const partition = this.#random() < 0.05 ? Math.floor(this.#random() * 12) : home;
    return { ...out, partition };
  }

  #garbage(): OutgoingRecord {
    const source = (['journeys', 'calls', 'members'] as const)[Math.floor(this.#random() * 3)] ?? 'calls';
    const kind = Math.floor(this.#random() * 4);
    const bytes = Buffer.from(Array.from({ length: 20 }, () => Math.floor(this.#random() * 256)));
    const value = [null, Buffer.alloc(0), bytes, Buffer.from(`{"member_id": ${bytes.toString('hex')}`)][kind] ?? null;
    return { topic: topicName(this.#prefix, source), key: null, value, partition: Math.floor(this.#random() * 12) };
  }
}

function rowOf(row: VectorRow, prefix: string): VectorRow {
  const named = Object.entries(row).map(([name, value]): [string, unknown] => [
    name,
    identities.includes(name) && typeof value === 'string' ? prefix + value : value,
  ]);
  return Object.fromEntries<unknown>(named);
}

function renamed({ source, event }: VectorRecord, prefix: string): VectorRecord {
  return { source, event: rowOf(event, prefix) };
}
