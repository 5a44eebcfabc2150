import type { KafkaRecord } from '@leakage/kafka';
import { CopyEncoder, type CopySource, type Erased } from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';
import type { EventOf, Reader, Source } from '@leakage/schemas';
import { describeHeaders, textHeader } from './domain/headers.ts';
import { ERASED, ERASED_KEY, type Layout, layouts, type Received, storableInstant } from './domain/layout.ts';

/** The rows of one source in one batch: records in, COPY data out. Used again for later batches. */
export class SourceRows<S extends Source = Source> {
  readonly #source: S;
  readonly #layout: Layout<S>;
  readonly #reader: Reader<EventOf[S]>;
  readonly #encoder: CopyEncoder;
  readonly #row: unknown[] = [];
  readonly #log: Logger;
  #undecoded = 0;

  constructor(source: S, reader: Reader<EventOf[S]>, log: Logger) {
    this.#source = source;
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

  /** Whatever a record holds, it becomes a row: of one whose member was erased, that it was there and nothing else. */
  add(record: KafkaRecord, erased: Erased | null): void {
    const { topic, partition, offset } = record;
    const decoded = this.#reader.decode(record.value);
    const { event } = decoded;
    if (erased !== null && this.#isErased(erased, record, event)) {
      this.#layout.fill(this.#row, tombstoneOf(record), null);
      this.#encoder.row(this.#row);
      return;
    }
    if (!decoded.ok) this.#undecoded += 1;
    const as = {
      kafka_topic: topic,
      kafka_partition: partition,
      kafka_offset: offset,
      kafka_timestamp: storableInstant(record.timestampMs),
      // It may name another member than the value does.
      kafka_key: erased?.hasKey(record.key) ? ERASED_KEY : record.key,
      headers: describeHeaders(record.headers),
      payload: record.value,
      schema_id: decoded.schemaId,
      decode_error: decoded.ok ? null : decoded.error,
      source_file: textHeader(record.headers, 'source_file'),
    };
    this.#layout.fill(this.#row, as, event);
    try {
      this.#encoder.row(this.#row);
    } catch (error) {
      // The readers promise that this cannot happen. If it does, the record is kept all the same and blocks nothing.
      this.#log.error({ err: error, topic, partition, offset }, 'a decoded record does not fit its columns');
      this.#layout.fill(this.#row, { ...as, decode_error: as.decode_error ?? 'unstorable' }, null);
      this.#encoder.row(this.#row);
    }
  }

  #isErased(erased: Erased, { key }: KafkaRecord, event: EventOf[S] | null): boolean {
    const recordId = this.#layout.recordId(event);
    return erased.refuses({ source: this.#source, memberId: event?.member_id, recordId, key });
  }

  /** What COPY takes; valid until `reset`. */
  finish(schema: string): CopySource {
    const { table, columns } = this.#layout;
    return { table: `${schema}.${table}`, columns, data: this.#encoder.finish() };
  }
}

/** What is kept of a record that must not be kept: where it was, and when. */
function tombstoneOf({ topic, partition, offset, timestampMs }: KafkaRecord): Received {
  return {
    kafka_topic: topic,
    kafka_partition: partition,
    kafka_offset: offset,
    kafka_timestamp: storableInstant(timestampMs),
    kafka_key: null,
    headers: null,
    payload: null,
    schema_id: null,
    decode_error: ERASED,
    source_file: null,
  };
}
