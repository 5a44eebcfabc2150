import { isUtf8 } from 'node:buffer';
import type { PublishedRange, Publisher } from '@leakage/kafka';
import { type Encoders, type Source, topicName } from '@leakage/schemas';
import { CsvReader } from './csv.ts';
import type { Header, InputFile } from './files.ts';
import { LINE_BYTES_MAX, type Line, linesOf } from './lines.ts';
import type { LocalTime } from './local-time.ts';
import { type Row, RowEncoder } from './rows.ts';
import { Sender } from './sender.ts';

/** Refused lines that are told in full; the rest is counted. */
export const REFUSALS_SHOWN = 20;

export interface FileResult {
  file: string;
  source: Source;
  sent: number;
  refused: number;
  /** Rows with a value that Avro cannot hold: sent as JSON, for silver to judge. */
  sentAsJson: number;
  /** Columns that the contracts do not know. */
  ignoredColumns: string[];
}

export interface ImportResult {
  files: FileResult[];
  sent: number;
  refused: number;
  refusals: { file: string; line: number; reason: string }[];
  ranges: PublishedRange[];
}

export interface ImportOptions {
  files: readonly { file: InputFile; header: Header | null }[];
  topicPrefix: string;
  localTime: LocalTime;
  encoders: Encoders;
  publisher: Publisher;
  onProgress: (o: { sent: number; refused: number; bytes: number }) => void;
}

/** Publishes every row of the files that can be read at all. What a row says is judged by silver. */
export async function importFiles(o: ImportOptions): Promise<ImportResult> {
  const sender = new Sender(o.publisher);
  const result: ImportResult = { files: [], sent: 0, refused: 0, refusals: [], ranges: [] };
  let bytes = 0;
  for (const { file, header } of o.files) {
    const encoder = new RowEncoder(file.source, o);
    const own: FileResult = {
      file: file.name,
      source: file.source,
      sent: 0,
      refused: 0,
      sentAsJson: 0,
      ignoredColumns: [],
    };
    result.files.push(own);
    const topic = topicName(o.topicPrefix, file.source);
    const rows = header === null ? new JsonRows(encoder) : new CsvRows(encoder, header);
    const take = async (found: readonly Found[]): Promise<void> => {
      for (const one of found) {
        if ('refused' in one) {
          own.refused += 1;
          result.refused += 1;
          if (result.refusals.length < REFUSALS_SHOWN)
            result.refusals.push({ file: file.name, line: one.line, reason: one.refused });
          continue;
        }
        own.sent += 1;
        result.sent += 1;
        if (one.row.asJson) own.sentAsJson += 1;
        const headers = { source_file: file.name, source_line: String(one.line) };
        await sender.add({ topic, key: one.row.key, value: one.row.value, headers });
      }
    };
    const count = (n: number): void => {
      bytes += n;
    };
    for await (const lines of linesOf(file.path, count)) {
      await take(rows.read(lines));
      o.onProgress({ sent: result.sent, refused: result.refused, bytes });
    }
    await take(rows.end());
    own.ignoredColumns = rows.ignoredColumns;
  }
  await sender.flush();
  o.onProgress({ sent: result.sent, refused: result.refused, bytes });
  result.ranges = sender.ranges;
  return result;
}

type Found = { line: number; row: Row } | { line: number; refused: string };

interface RowReader {
  read(lines: readonly Line[]): Found[];
  end(): Found[];
  ignoredColumns: string[];
}

class CsvRows implements RowReader {
  readonly #reader = new CsvReader();
  readonly #encoder: RowEncoder;
  readonly #header: Header;
  readonly ignoredColumns: string[];

  constructor(encoder: RowEncoder, header: Header) {
    this.#encoder = encoder;
    this.#header = header;
    this.ignoredColumns = header.columns.filter((column) => !encoder.knows(column));
  }

  read(lines: readonly Line[]): Found[] {
    return this.#rows(this.#reader.read(lines.filter((line) => line.number > this.#header.line)));
  }

  end(): Found[] {
    return this.#rows(this.#reader.end());
  }

  #rows(records: ReturnType<CsvReader['read']>): Found[] {
    const { columns } = this.#header;
    return records.map((record): Found => {
      if ('refused' in record) return record;
      const { line, cells } = record;
      if (cells.length !== columns.length)
        return { line, refused: `has ${cells.length} values, the header has ${columns.length}` };
      return { line, row: this.#encoder.fromCells(columns, cells) };
    });
  }
}

class JsonRows implements RowReader {
  readonly #encoder: RowEncoder;
  readonly #ignored = new Set<string>();

  constructor(encoder: RowEncoder) {
    this.#encoder = encoder;
  }

  get ignoredColumns(): string[] {
    return [...this.#ignored];
  }

  read(lines: readonly Line[]): Found[] {
    return lines.flatMap((line) => this.#row(line));
  }

  end(): Found[] {
    return [];
  }

  #row({ number: line, bytes }: Line): Found[] {
    if (bytes === null) return [{ line, refused: `longer than ${LINE_BYTES_MAX} bytes` }];
    if (!isUtf8(bytes)) return [{ line, refused: 'not valid UTF-8' }];
    const text = bytes.toString('utf8').trim();
    if (text === '') return [];
    const object = objectOf(text);
    if (object === null) return [{ line, refused: 'not a JSON object' }];
    for (const name of Object.keys(object)) {
      if (!this.#encoder.knows(name) && this.#ignored.size < REFUSALS_SHOWN) this.#ignored.add(name);
    }
    return [{ line, row: this.#encoder.fromObject(object) }];
  }
}

function objectOf(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null; // refused with its line
  }
}
