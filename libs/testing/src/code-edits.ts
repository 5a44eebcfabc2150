import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One change of our code for the time of a test: a service started with it runs `wrong` where the file has `right`. */
export interface CodeEdit {
  /** From the project's folder. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly right: string;
  readonly wrong: string;
}

const projectFolder = fileURLToPath(new URL('../../../', import.meta.url));
const preload = fileURLToPath(new URL('./code-edits-preload.ts', import.meta.url));

/** Throws when an edit no longer fits its file: a test that breaks nothing proves nothing. */
export function checkEdits(edits: readonly CodeEdit[]): void {
  for (const { file, right } of edits) {
    const found = readFileSync(join(projectFolder, file), 'utf8').split(right).length - 1;
    if (found !== 1) throw new Error(`${file} holds this text ${found} times, not once: ${right}`);
  }
}

/**
 * How node is started so that the edits are made while it loads our modules; the files stay as they are. `env` is what
 * else code-edits-preload.ts is to read. Nothing at all when there is nothing to do.
 */
export function editedCode(
  edits: readonly CodeEdit[],
  env: Readonly<Record<string, string>> = {},
): { execArgv: string[]; env: Record<string, string> } {
  if (edits.length === 0 && Object.keys(env).length === 0) return { execArgv: [], env: {} };
  checkEdits(edits);
  const absolute = edits.map((edit) => ({ ...edit, file: join(projectFolder, edit.file) }));
  return { execArgv: ['--import', preload], env: { ...env, LEAKAGE_CODE_EDITS: JSON.stringify(absolute) } };
}
