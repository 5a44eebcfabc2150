import type { Reading } from '@leakage/registry';
import { type Encoders, isInstantInRange, type Source } from '@leakage/schemas';
import { avroOf } from '../import/rows.ts';
import type { DecodeAs, Fix } from './fix.ts';
import { type Fields, type Fixed, stepsOfFix } from './steps.ts';

/** What of a quarantined record a repair needs. */
export interface Broken {
  /** When Kafka got it, in epoch milliseconds. */
  readonly receivedAt: number;
  readonly payload: Buffer | null;
}

/**
 * A record as it would be sent again. A problem is `unreadable` (by this fix no fields can be read from the bytes),
 * `rename:<field>` (the field has a value already) or `no_emitted_at` (it does not say when it was sent, and Kafka does not say
 * when it came).
 */
export type Repaired =
  | { readonly ok: true; readonly value: Buffer; readonly before: Fields; readonly after: Fields }
  | { readonly ok: false; readonly problem: string; readonly before: Fields | null };

export interface RepairerOptions {
  readonly fix: Fix;
  readonly reading: Reading;
  readonly encoders: Encoders;
}

/** Makes new bytes of old ones by a fix. Judges nothing: that is silver's. */
export class Repairer {
  readonly #source: Source;
  readonly #decodeAs: DecodeAs | null;
  readonly #steps: (fields: Fields) => Fixed;
  readonly #reading: Reading;
  readonly #encoders: Encoders;

  constructor({ fix, reading, encoders }: RepairerOptions) {
    this.#source = fix.source;
    this.#decodeAs = fix.decodeAs;
    this.#steps = stepsOfFix(fix);
    this.#reading = reading;
    this.#encoders = encoders;
  }

  /** Waits for a schema registry, where there is one, and throws when it does not answer. */
  async repair(records: readonly Broken[]): Promise<Repaired[]> {
    const values = records.map(({ payload }) => bytesToRead(payload, this.#decodeAs));
    await this.#reading.learn([{ source: this.#source, records: values.map((value) => ({ value })) }]);
    return records.map((record, nr) => this.#repaired(record, values[nr] ?? null));
  }

  #repaired({ receivedAt }: Broken, value: Buffer | null): Repaired {
    const before = this.#reading.readers[this.#source].asSent(value);
    if (before === null) return { ok: false, problem: 'unreadable', before };
    const fixed = this.#steps(before);
    if (!fixed.ok) return { ...fixed, before };
    const after = withEmittedAt(fixed.fields, receivedAt);
    if (after === null) return { ok: false, problem: 'no_emitted_at', before };
    const json = Buffer.from(JSON.stringify(after));
    // What Avro cannot hold goes as it is, for the rules to say what is wrong with it.
    return { ok: true, value: avroOf(this.#source, json, this.#encoders) ?? json, before, after };
  }
}

/** A rule's "now" is when the source sent a record (law 11). The copy comes later: so it says when the first one came. */
function withEmittedAt(fields: Fields, receivedAt: number): Fields | null {
  if (fields.emitted_at !== undefined && fields.emitted_at !== null) return fields;
  return isInstantInRange(receivedAt) ? { ...fields, emitted_at: receivedAt } : null;
}

function bytesToRead(payload: Buffer | null, decodeAs: DecodeAs | null): Buffer | null {
  if (payload === null || decodeAs === null) return payload;
  const body = payload.subarray(decodeAs.skipBytes);
  if (decodeAs.format === 'json') return body;
  const header = Buffer.alloc(5);
  header.writeInt32BE(decodeAs.schemaId, 1);
  return Buffer.concat([header, body]);
}
