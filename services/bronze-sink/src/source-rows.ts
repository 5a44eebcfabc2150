import type { KafkaRecord } from '@leakage/kafka';
import { CopyEncoder, type CopySource } from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';
import type { EventOf, Reader, Source } from '@leakage/schemas';
import { describeHeaders, textHeader } from './domain/headers.ts';
import { type Layout, layouts, storableInstant } from './domain/layout.ts';

/** The rows of one source in one batch: records in, COPY data out. Used again for later batches. */
export class SourceRows<S extends Source = Source> {
  readonly #layout: Layout<S>;
  readonly #reader: Reader<EventOf[S]>;
  readonly #encoder: CopyEncoder;
  readonly #row: unknown[] = [];
  readonly #log: Logger;
  #undecoded = 0;

  constructor(source: S, reader: Reader<EventOf[S]>, log: Logger) {
    this.#layout = layouts[source];
    this.#reader = reader;
    this.#encoder = new CopyEncoder(this.#layout.types);
    this.#log = log;
  }

  get rows(): number {
    return this.#encoder.rows;
  }

  /** How many of the rows hold a value that did not decode. */
  get undecoded(): number {
    return this.#undecoded;
  }

  reset(): void {
    this.#encoder.reset();
    this.#undecoded = 0;
  }

  /** Whatever a record holds, it becomes a row. */
  add(record: KafkaRecord): void {
    const { topic, partition, offset } = record;
    const decoded = this.#reader.decode(record.value);
    if (!decoded.ok) this.#undecoded += 1;
    const as = {
      kafka_topic: topic,
      kafka_partition: partition,
      kafka_offset: offset,
      kafka_timestamp: storableInstant(record.timestampMs),
      kafka_key: record.key,
      headers: describeHeaders(record.headers),
      payload: record.value,
      schema_id: decoded.schemaId,
      decode_error: decoded.ok ? null : decoded.error,
      source_file: textHeader(record.headers, 'source_file'),
    };
    this.#layout.fill(this.#row, as, decoded.event);
    try {
      this.#encoder.row(this.#row);
    } catch (error) {
      // The readers promise that this cannot happen. If it does, the record is kept all the same and blocks nothing.
      this.#log.error({ err: error, topic, partition, offset }, 'a decoded record does not fit its columns');
      this.#layout.fill(this.#row, { ...as, decode_error: as.decode_error ?? 'unstorable' }, null);
      this.#encoder.row(this.#row);
    }
  }

  /** What COPY takes; valid until `reset`. */
  finish(schema: string): CopySource {
    const { table, columns } = this.#layout;
    return { table: `${schema}.${table}`, columns, data: this.#encoder.finish() };
  }
}
