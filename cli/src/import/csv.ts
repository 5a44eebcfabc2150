import { isUtf8 } from 'node:buffer';
import { parse } from 'csv-parse/sync';
import { LINE_BYTES_MAX, type Line } from './lines.ts';

/** Lines that one quoted record may span: a quote that is never closed must not swallow the rest of a file. */
const RECORD_LINES_MAX = 1_000;

const QUOTE = 0x22;

/** One record of a file, or why a line is none. */
export type CsvRecord = { line: number; cells: string[] } | { line: number; refused: string };

/** Takes lines, gives records; a record whose quotes hold line breaks spans several lines. */
export class CsvReader {
  #open: Line[] = [];
  #openBytes = 0;
  #openQuotes = 0;

  /** The records that `lines` complete. */
  read(lines: readonly Line[]): CsvRecord[] {
    const records: Complete[] = [];
    for (const line of lines) this.#take(line, records);
    return withCells(records);
  }

  /** What is left at the end of the file. */
  end(): CsvRecord[] {
    const records: Complete[] = [];
    while (this.#open.length > 0) this.#giveUp(records, 'a quote is opened and never closed');
    return withCells(records);
  }

  #take(line: Line, records: Complete[]): void {
    if (line.bytes === null) {
      while (this.#open.length > 0) this.#giveUp(records, 'a quote is opened and never closed');
      records.push({ line: line.number, refused: `longer than ${LINE_BYTES_MAX} bytes` });
      return;
    }
    this.#open.push(line);
    this.#openBytes += line.bytes.length + 1;
    this.#openQuotes += quotesIn(line.bytes);
    if (this.#openQuotes % 2 === 0) {
      this.#complete(records);
    } else if (this.#open.length > RECORD_LINES_MAX || this.#openBytes > LINE_BYTES_MAX) {
      this.#giveUp(records, 'a quote is opened and never closed');
    }
  }

  #complete(records: Complete[]): void {
    const [first, ...others] = this.#open;
    if (first === undefined) return;
    const record = recordOf(this.#open);
    if (record === null) {
      this.#forget();
    } else if ('refused' in record && others.length > 0) {
      this.#giveUp(records, record.refused);
    } else {
      records.push(record);
      this.#forget();
    }
  }

  /** Refuses the first open line and reads the others anew: one stray quote costs one line. */
  #giveUp(records: Complete[], reason: string): void {
    const [first, ...others] = this.#open;
    this.#forget();
    if (first !== undefined) records.push({ line: first.number, refused: reason });
    for (const line of others) this.#take(line, records);
  }

  #forget(): void {
    this.#open = [];
    this.#openBytes = 0;
    this.#openQuotes = 0;
  }
}

function quotesIn(bytes: Buffer): number {
  let quotes = 0;
  for (let at = bytes.indexOf(QUOTE); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) quotes += 1;
  return quotes;
}

/** A record whose quotes are balanced; `quoted` is one line that a parser has still to take apart. */
type Complete = CsvRecord | { line: number; quoted: string };

/** Null for an empty line. */
function recordOf(lines: readonly Line[]): Complete | null {
  const line = lines[0]?.number ?? 0;
  const parts = lines.map((one) => one.bytes ?? empty);
  const bytes =
    parts.length === 1 && parts[0] !== undefined
      ? parts[0]
      : Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [newline, part])));
  if (!isUtf8(bytes)) return { line, refused: 'not valid UTF-8' };
  const text = bytes.toString('utf8').replace(/\r$/, '');
  if (text.trim() === '') return null;
  // Most lines hold no quote, and for those a parser has nothing to do.
  if (!text.includes('"')) return { line, cells: text.split(',') };
  return lines.length === 1 ? { line, quoted: text } : parseOne(line, text);
}

/** To make a parser costs more than to parse a line: one takes all lines apart, unless one of them is wrong. */
function withCells(records: readonly Complete[]): CsvRecord[] {
  const texts = records.flatMap((record) => ('quoted' in record ? [record.quoted] : []));
  const parsed = texts.length > 1 ? parseAll(texts) : null;
  let next = 0;
  return records.map((record) => {
    if (!('quoted' in record)) return record;
    const cells = parsed?.[next];
    next += 1;
    return cells === undefined ? parseOne(record.line, record.quoted) : { line: record.line, cells };
  });
}

/** Null unless every line is one record. */
function parseAll(texts: readonly string[]): string[][] | null {
  try {
    const parsed = parse(texts.join('\n'), { relax_column_count: true, record_delimiter: '\n' });
    return parsed.length === texts.length ? parsed : null;
  } catch {
    return null; // each is parsed alone then, and says what is wrong with it
  }
}

function parseOne(line: number, text: string): CsvRecord {
  try {
    const [cells = []] = parse(text, { relax_column_count: true, record_delimiter: '\n' });
    return { line, cells };
  } catch (error) {
    return { line, refused: describe(error) };
  }
}

const empty = Buffer.alloc(0);
const newline = Buffer.from('\n');

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'INVALID_OPENING_QUOTE') return 'a quote within a value that is not quoted';
  if (code === 'CSV_INVALID_CLOSING_QUOTE') return 'text after a closing quote';
  return error instanceof Error ? error.message : String(error);
}
