import { join, resolve } from 'node:path';
import { dataDirectory, readEnvironment } from '@leakage/runtime';

/** Where the generator keeps its state, its truth and its files. */
export function generatorFolder(given?: string): string {
  const folder = given ?? readEnvironment().OUTPUT_PATH;
  return folder === undefined ? join(dataDirectory(), 'generator') : resolve(folder);
}
