import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dataDirectory } from '@leakage/runtime';

const program = fileURLToPath(new URL('prepare.ts', import.meta.url));

/** The file with so many records of the simulated world; made once, then kept in the data folder. */
export async function preparedFile(records: number, say: (line: string) => void): Promise<string> {
  const file = join(dataDirectory(), 'benchmarks', `records-${records}.bin`);
  if (!existsSync(file)) {
    say(`preparing ${records} records`);
    await promisify(execFile)(process.execPath, [program, file, String(records)]);
  }
  return file;
}
