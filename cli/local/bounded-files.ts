import { copyFileSync, statSync, truncateSync } from 'node:fs';
import { codeOf } from './problem.ts';

const maxBytes = 16 * 1024 * 1024;
const everyMs = 30_000;

/**
 * Log files that other processes append to. Whoever writes keeps the file open, so it is emptied in place (O_APPEND: the
 * next line goes to the new beginning); lines written between the copy and that moment are lost, which a log may.
 */
export class BoundedFiles {
  readonly #files = new Set<string>();
  readonly #timer = setInterval(() => this.check(), everyMs).unref();

  add(file: string): void {
    this.#files.add(file);
    this.check();
  }

  check(limitBytes = maxBytes): void {
    for (const file of this.#files) {
      if (sizeOf(file) <= limitBytes) continue;
      try {
        copyFileSync(file, `${file}.1`);
      } finally {
        truncateSync(file); // the more so on a full disk, where the copy fails
      }
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
