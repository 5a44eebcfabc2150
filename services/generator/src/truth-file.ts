import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { dateText } from './domain/calendar.ts';
import type { Emission } from './domain/emission.ts';
import type { Shape } from './domain/world.ts';
import { unwritten } from './unwritten.ts';

/**
 * What is really so, one JSON object a line: first the dates of what was planted, then every call in the order of its first
 * record. The product never reads it.
 */
export class TruthFile {
  readonly #path: string;
  readonly #file: FileHandle;
  #bytes: number;

  private constructor(path: string, file: FileHandle, bytes: number) {
    this.#path = path;
    this.#file = file;
    this.#bytes = bytes;
  }

  /** Opens the file and cuts it to the length that belongs to the position. */
  static async open(folder: string, bytes: number): Promise<TruthFile> {
    const path = join(folder, 'truth.jsonl');
    const file = await open(path, bytes === 0 ? 'w' : 'r+');
    await file.truncate(bytes);
    return new TruthFile(path, file, bytes);
  }

  get bytes(): number {
    return this.#bytes;
  }

  async begin(shape: Shape): Promise<void> {
    const { anchorDay, seed, parameters } = shape;
    const onset = { event: 'onset', journey_type: 'billing', error_code: 'ERR_BILLING_ELIGIBILITY' };
    await this.note({ ...onset, local_date: dateText(anchorDay + parameters.trends.onset), seed });
  }

  /** Something that was planted. */
  async note(line: object): Promise<void> {
    await this.#write(`${JSON.stringify(line)}\n`);
  }

  async append(emissions: readonly Emission[]): Promise<void> {
    const lines = emissions.flatMap(({ truth }) => (truth === null ? [] : [`${JSON.stringify(truth)}\n`]));
    if (lines.length > 0) await this.#write(lines.join(''));
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #write(text: string): Promise<void> {
    let rest = Buffer.from(text);
    // A disk that fills up takes a part and says how much; only the next write fails.
    while (rest.length > 0) {
      const { bytesWritten } = await this.#file.write(rest, 0, rest.length, this.#bytes).catch((error: unknown) => {
        throw unwritten(this.#path, error);
      });
      this.#bytes += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }
}
