import { access, type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Publisher } from '@leakage/kafka';
import { SettingsError } from '@leakage/runtime';
import { contracts, type Source } from '@leakage/schemas';
import type { Emission } from './domain/emission.ts';
import type { Encoder } from './encoding.ts';
import { unwritten } from './unwritten.ts';

/** Where records go. What `write` has returned from is safe. */
export interface Sink {
  readonly name: string;
  write(batch: readonly Emission[]): Promise<void>;
  /** Lengths of files that belong to what is written, by name; a restart cuts them to these. */
  readonly lengths: Readonly<Record<string, number>>;
  stop(): Promise<void>;
}

export function kafkaSink(publisher: Publisher, encoder: Encoder): Sink {
  return {
    name: 'publisher',
    write: async (batch) => {
      await publisher.publish(batch.map((emission) => encoder.encode(emission)));
    },
    lengths: {},
    stop: () => publisher.stop(),
  };
}

export type FileFormat = 'jsonl' | 'csv';

const FILES: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys',
  calls: 'call_logs',
  members: 'member_profiles',
};

const sources = Object.keys(FILES) as Source[];

/** Fields that data sets made for the original notebooks do not have. */
const ADDED = new Set(['event_id', 'revision', 'deleted', 'emitted_at', 'valid_from', 'app_version']);

/**
 * Files that `leakage import` reads. JSON lines hold every record with all its fields as it is sent; CSV has the original's
 * columns, and the records that it gets are expected to be the final ones.
 */
export class FileSink implements Sink {
  readonly name = 'files';
  readonly lengths: Record<string, number> = {};
  readonly #folder: string;
  readonly #format: FileFormat;
  readonly #files = new Map<Source, FileHandle>();

  private constructor(folder: string, format: FileFormat) {
    this.#folder = folder;
    this.#format = format;
  }

  /**
   * Opens the files and cuts them to the lengths that belong to the position. Without lengths they are new: files that are
   * there already are somebody else's, and stay as they are.
   */
  static async open(
    folder: string,
    format: FileFormat,
    lengths: Readonly<Record<string, number>> | null,
  ): Promise<FileSink> {
    const sink = new FileSink(folder, format);
    if (lengths === null) await refuseOthers(sources.map((source) => join(folder, sink.#nameOf(source))));
    for (const source of sources) {
      const name = sink.#nameOf(source);
      const length = lengths?.[name] ?? 0;
      const file = await open(join(folder, name), lengths === null ? 'wx' : 'r+');
      await file.truncate(length);
      sink.#files.set(source, file);
      sink.lengths[name] = length;
      if (length === 0 && format === 'csv') await sink.#append(source, `${columnsOf(source).join(',')}\n`);
    }
    return sink;
  }

  async write(batch: readonly Emission[]): Promise<void> {
    for (const [source, emissions] of Object.entries(Object.groupBy(batch, (emission) => emission.source))) {
      const line = this.#format === 'csv' ? csvLine : jsonLine;
      await this.#append(source as Source, emissions.map(line).join(''));
    }
  }

  async stop(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }

  #nameOf(source: Source): string {
    return `${FILES[source]}.${this.#format}`;
  }

  async #append(source: Source, text: string): Promise<void> {
    const name = this.#nameOf(source);
    const file = this.#files.get(source);
    let rest = Buffer.from(text);
    while (file !== undefined && rest.length > 0) {
      const at = this.lengths[name] ?? 0;
      const { bytesWritten } = await file.write(rest, 0, rest.length, at).catch((error: unknown) => {
        throw unwritten(join(this.#folder, name), error);
      });
      this.lengths[name] = at + bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }
}

function columnsOf(source: Source): string[] {
  return contracts[source].fields.map(({ name }) => name).filter((name) => !ADDED.has(name));
}

const kinds = new Map(
  sources.flatMap((source) => contracts[source].fields.map(({ name, kind }) => [`${source}.${name}`, kind] as const)),
);

/** Damaged bytes have no form in a file of texts: such a line is cut in the middle, so that it is as unreadable. */
function jsonLine({ source, event, damage }: Emission): string {
  const instants = Object.entries(event).map(([name, value]) => [name, textOf(source, name, value)]);
  const text = JSON.stringify(Object.fromEntries(instants));
  if (damage === null) return `${text}\n`;
  if (damage.kind === 'schema') return `${text}\n`;
  return `${text.slice(0, Math.max(1, Math.floor(text.length * (damage.kind === 'cut' ? damage.keep : 0.5))))}\n`;
}

function csvLine({ source, event }: Emission): string {
  const values: Readonly<Record<string, unknown>> = { ...event };
  return `${columnsOf(source)
    .map((name) => cellOf(textOf(source, name, values[name])))
    .join(',')}\n`;
}

/** Instants as ISO 8601 in UTC; everything else as it is. */
function textOf(source: Source, name: string, value: unknown): unknown {
  return kinds.get(`${source}.${name}`) === 'instant' && typeof value === 'number'
    ? new Date(value).toISOString()
    : value;
}

/** RFC 4180. */
function cellOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function refuseOthers(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there)
      throw new SettingsError([
        `${path} is there already, and no state of a generator beside it: choose another OUTPUT_PATH`,
      ]);
  }
}
