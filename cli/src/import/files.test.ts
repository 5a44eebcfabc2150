import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@leakage/testing';
import { expect, test } from 'vitest';
import { findFiles, readHeader } from './files.ts';

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

/** Finds the files of a folder and reads the headers of its CSV files. */
async function examine(files: Record<string, string>) {
  const found = await findFiles(await folderOf(files));
  const headers = found.files.filter((file) => file.format === 'csv').map(readHeader);
  return { ...found, headers: await Promise.all(headers) };
}

const call = 'call_id,member_id,call_timestamp\n';

test('files are known by the beginning of their names; profiles come first', async () => {
  const folder = await folderOf({
    'call_logs-2026.jsonl': '',
    'Digital_Journeys_2.CSV': '',
    'member_profiles.jsonl': '',
    'README.md': '',
  });
  await mkdir(join(folder, 'call_logs.csv'));
  const { files, ignored } = await findFiles(folder);
  expect(files.map(({ name, source, format }) => [name, source, format])).toEqual([
    ['member_profiles.jsonl', 'members', 'jsonl'],
    ['Digital_Journeys_2.CSV', 'journeys', 'csv'],
    ['call_logs-2026.jsonl', 'calls', 'jsonl'],
  ]);
  expect(ignored).toEqual(['README.md', 'call_logs.csv']);
});

test('a header may have other columns, in any order, after empty lines', async () => {
  const { headers } = await examine({ 'call_logs.csv': `\ufeff\n call_timestamp ,"member_id",note,call_id\r\n` });
  expect(headers).toEqual([{ columns: ['call_timestamp', 'member_id', 'note', 'call_id'], line: 2 }]);
});

test.each<[Record<string, string>, RegExp]>([
  [{}, /holds nothing to import: files are called member_profiles/],
  [{ 'notes.txt': 'x' }, /holds nothing to import/],
  [{ 'call_logs.csv': call, 'claims.csv': 'x' }, /claims.csv: no such table is known/],
  [{ 'call_logs.csv': call, 'call_logs.xlsx': 'x' }, /call_logs.xlsx: no such table is known/],
  [{ 'call_logs.csv': 'call_id\n' }, /these columns are missing: member_id, call_timestamp; found: call_id/],
  [{ 'call_logs.csv': 'call_id,member_id\n' }, /this column is missing: call_timestamp/],
  [{ 'call_logs.csv': 'call_id;member_id;call_timestamp\n' }, /Columns are separated by commas/],
  [{ 'call_logs.csv': '' }, /has no header/],
  [{ 'call_logs.csv': `call_id,${call}` }, /the column call_id is there twice/],
  [{ 'call_logs.csv': 'call"_id,member_id\n' }, /has no header/],
])('%j is refused', async (files, message) => {
  await expect(examine(files)).rejects.toThrow(message);
  await expect(examine(files)).rejects.toMatchObject({ exitCode: 2 });
});

test('a folder that is none', async () => {
  await expect(findFiles('/nonexistent/data')).rejects.toMatchObject({
    exitCode: 2,
    message: 'There is no folder /nonexistent/data.',
  });
  const folder = await folderOf({ 'call_logs.csv': call });
  await expect(findFiles(join(folder, 'call_logs.csv'))).rejects.toThrow(/is not a folder/);
});
