import {
  contracts,
  type Decoded,
  type Encoder,
  type Encoders,
  type Kind,
  parseInstant,
  type Source,
} from '@leakage/schemas';
import type { LocalTime } from './local-time.ts';

/** One row as it will be sent. */
export interface Row {
  key: string | null;
  value: Buffer;
  /** Avro could not hold a value of the row: it goes as JSON, and silver says what is wrong with it. */
  asJson: boolean;
}

/** Without these silver could accept no row of a file. */
export const REQUIRED: Readonly<Record<Source, readonly string[]>> = {
  journeys: ['member_id', 'session_id', 'timestamp', 'journey_type', 'action'],
  calls: ['call_id', 'member_id', 'call_timestamp'],
  members: ['member_id', 'plan_type', 'segment', 'language_preference', 'tenure_months', 'enrollment_date'],
};

/** Where a row says when it happened; stands in for emitted_at where a file has none. */
const EVENT_TIME: Readonly<Record<Source, string>> = {
  journeys: 'timestamp',
  calls: 'call_timestamp',
  members: 'valid_from',
};

/** Turns rows of files into values of a topic. What cannot be read as its type stays as it is: judging rows is silver's. */
export class RowEncoder {
  readonly #source: Source;
  readonly #localTime: LocalTime;
  readonly #encoders: Encoders;
  readonly #kinds: ReadonlyMap<string, Kind>;

  constructor(source: Source, o: { localTime: LocalTime; encoders: Encoders }) {
    this.#source = source;
    this.#localTime = o.localTime;
    this.#encoders = o.encoders;
    this.#kinds = new Map(contracts[source].fields.map(({ name, kind }) => [name, kind]));
  }

  knows(column: string): boolean {
    return this.#kinds.has(column);
  }

  /** A CSV row: an empty cell is no value. */
  fromCells(columns: readonly string[], cells: readonly string[]): Row {
    const row: Record<string, unknown> = {};
    columns.forEach((column, i) => {
      const kind = this.#kinds.get(column);
      const cell = cells[i] ?? '';
      if (kind !== undefined && cell !== '') row[column] = this.#valueOfCell(kind, cell);
    });
    return this.#encode(row);
  }

  /** A JSON row: like a JSON record of the topic, but instants may be local. */
  fromObject(object: Readonly<Record<string, unknown>>): Row {
    const row = { ...object };
    for (const [name, kind] of this.#kinds) {
      const value = row[name];
      if (kind === 'instant' && typeof value === 'string') row[name] = this.#instant(value) ?? value;
    }
    return this.#encode(row);
  }

  #encode(row: Record<string, unknown>): Row {
    if (row.emitted_at === undefined || row.emitted_at === null) {
      const eventTime = row[EVENT_TIME[this.#source]];
      if (typeof eventTime === 'number') row.emitted_at = eventTime;
    }
    const json = Buffer.from(JSON.stringify(row));
    const key = typeof row.member_id === 'string' ? row.member_id : null;
    const avro = avroOf(this.#source, json, this.#encoders);
    return { key, value: avro ?? json, asJson: avro === null };
  }

  #valueOfCell(kind: Kind, cell: string): unknown {
    const text = cell.trim();
    switch (kind) {
      case 'string':
        return cell;
      case 'instant':
        return this.#instant(text) ?? (/^-?\d{12,14}$/.test(text) ? Number(text) : cell);
      case 'int':
        // Tables with gaps are often written with all integers as 12.0.
        return /^[+-]?\d{1,15}(?:\.0+)?$/.test(text) ? Number(text) : cell;
      case 'double':
        return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text) ? Number(text) : cell;
      case 'boolean':
        if (/^(?:true|1)$/i.test(text)) return true;
        return /^(?:false|0)$/i.test(text) ? false : cell;
      case 'date':
        return text.replace(/^(\d{4}-\d{2}-\d{2})[T ]00:00(?::00(?:\.0+)?)?$/, '$1');
      case 'long':
      case 'record':
        return cell;
    }
  }

  #instant(text: string): number | null {
    return parseInstant(text) ?? this.#localTime.parse(text);
  }
}

/** Null where Avro would have to leave something out. */
export function avroOf(source: Source, json: Buffer, encoders: Encoders): Buffer | null {
  switch (source) {
    case 'journeys':
      return recode(contracts.journeys.decode(json), encoders.journeys);
    case 'calls':
      return recode(contracts.calls.decode(json), encoders.calls);
    case 'members':
      return recode(contracts.members.decode(json), encoders.members);
  }
}

function recode<T>(decoded: Decoded<T>, encoder: Encoder<T>): Buffer | null {
  return decoded.ok && decoded.emptied.length === 0 ? encoder.encode(decoded.event) : null;
}
