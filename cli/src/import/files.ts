import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Source } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';
import { CsvReader } from './csv.ts';
import { linesOf } from './lines.ts';
import { REQUIRED } from './rows.ts';

export interface InputFile {
  path: string;
  name: string;
  source: Source;
  format: 'csv' | 'jsonl';
  bytes: number;
}

/** A CSV file's columns; the line on which its header ends. */
export interface Header {
  columns: string[];
  line: number;
}

// Profiles first: a call then has its category from the beginning. Any other order ends the same.
const SOURCES: readonly (readonly [string, Source])[] = [
  ['member_profiles', 'members'],
  ['digital_journeys', 'journeys'],
  ['call_logs', 'calls'],
];

const DATA = /\.(csv|jsonl|ndjson|json|tsv|txt\.gz|csv\.gz|jsonl\.gz|parquet|xlsx?)$/i;
/** What the generator writes beside its data. */
const COMPANIONS = new Set(['truth.jsonl', 'agents.jsonl', 'state.json', 'control.json']);
const expected = SOURCES.map(([name]) => `${name}*.csv or .jsonl`).join(', ');

/** The files of a folder that can be imported, in the order of import; the names of others that are no data. */
export async function findFiles(folder: string): Promise<{ files: InputFile[]; ignored: string[] }> {
  const names = (await namesIn(folder)).sort();
  const files: InputFile[] = [];
  const ignored: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const { size, isFile } = await stat(path).then((s) => ({ size: s.size, isFile: s.isFile() }));
    const known = isFile ? classify(name) : null;
    if (known !== null) files.push({ path, name, bytes: size, ...known });
    else if (isFile && DATA.test(name) && !COMPANIONS.has(name))
      throw new CommandError(`${path}: no such table is known. Files are called ${expected}.`, 2);
    else ignored.push(name);
  }
  if (files.length === 0) throw new CommandError(`${folder} holds nothing to import: files are called ${expected}.`, 2);
  const rank = (file: InputFile): number => SOURCES.findIndex(([, source]) => source === file.source);
  return { files: files.sort((a, b) => rank(a) - rank(b)), ignored };
}

export function classify(name: string): { source: Source; format: 'csv' | 'jsonl' } | null {
  const match = /^(.+)\.(csv|jsonl)$/i.exec(basename(name));
  const found = SOURCES.find(([start]) => match?.[1]?.toLowerCase().startsWith(start));
  if (match === null || found === undefined) return null;
  return { source: found[1], format: match[2]?.toLowerCase() === 'csv' ? 'csv' : 'jsonl' };
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT') throw new CommandError(`There is no folder ${folder}.`, 2);
    if (code === 'ENOTDIR')
      throw new CommandError(`${folder} is not a folder: give the folder that the files are in.`, 2);
    throw error;
  }
}

/** The header of a CSV file. Throws a CommandError when it cannot be the header of its table. */
export async function readHeader(file: InputFile): Promise<Header> {
  const fail = (why: string): never => {
    throw new CommandError(`${file.path}: ${why}`, 2);
  };
  const reader = new CsvReader();
  for await (const lines of linesOf(file.path)) {
    for (const line of lines) {
      const [record] = reader.read([line]);
      if (record === undefined) continue;
      if ('refused' in record) return fail(`the header is ${record.refused}.`);
      const columns = record.cells.map((cell) => cell.trim());
      checkColumns(file.source, columns, fail);
      return { columns, line: line.number };
    }
  }
  return fail('it has no header.');
}

function checkColumns(source: Source, columns: readonly string[], fail: (why: string) => never): void {
  const twice = columns.filter((column, i) => columns.indexOf(column) !== i);
  if (twice.length > 0) fail(`the column ${twice.join(', ')} is there twice.`);
  const missing = REQUIRED[source].filter((column) => !columns.includes(column));
  if (missing.length === 0) return;
  const hint = columns.length === 1 && /[;\t|]/.test(columns[0] ?? '') ? ' Columns are separated by commas.' : '';
  fail(
    `${missing.length > 1 ? 'these columns are' : 'this column is'} missing: ${missing.join(', ')}; found: ${columns.join(', ')}.${hint}`,
  );
}
