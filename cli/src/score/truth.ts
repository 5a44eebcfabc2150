import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { CommandError } from '../command-error.ts';
import type { TrueCall } from './judge.ts';

/** The calls of a truth file, one by one. A last line that is still being written is left out. */
export async function* trueCalls(path: string): AsyncGenerator<TrueCall> {
  let broken: number | null = null;
  let number = 0;
  for await (const line of linesOf(path)) {
    number += 1;
    if (broken !== null) throw new CommandError(`${path}, line ${broken}: no JSON object.`);
    const parsed = parse(line);
    if (parsed === null) broken = number;
    else if (isCall(parsed)) yield parsed;
  }
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const input = createReadStream(path);
  try {
    yield* createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'EISDIR')) {
      throw new CommandError(
        `There is no file ${path}: the generator writes it beside its state. Give another one with --truth, or its folder with OUTPUT_PATH.`,
      );
    }
    throw error;
  } finally {
    input.destroy();
  }
}

function parse(line: string): object | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** Other lines say what was planted. */
function isCall(line: object): line is TrueCall {
  return 'call_id' in line && 'leakage' in line && 'kind' in line;
}
