import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type CodeEdit, editedCode, type FailPointOrder } from '@leakage/testing';
import type { Outcome } from './installation.ts';

/** A place in the code of a command, put there by an edit, where a test can have it killed. */
export interface CommandStep {
  readonly name: string;
  readonly edit: CodeEdit;
  /** What the command was asked for was committed before it. */
  readonly applied: boolean;
  /** The how manieth time that it comes by. */
  readonly pass: number;
}

type Place = readonly [name: string, before: string, committed?: 'committed', pass?: number];

function stepsOf(file: string, places: readonly Place[]): readonly CommandStep[] {
  return places.map(([name, right, committed, pass = 1]) => ({
    name,
    edit: { file, right, wrong: `leakageFailPoint('${name}'); ${right}` },
    applied: committed !== undefined,
    pass,
  }));
}

/** Of promote and of rollback, which are one transaction. */
export const promotionSteps = stepsOf('libs/postgres/src/promotion.ts', [
  ['begun', 'await limitStatements(tx, hold.shardsMs);\n    await tx.query(`select pg_advisory'],
  ['one at a time', 'const active = await activeGeneration(tx);'],
  ['old one held', 'if (!mayBeBehind) await this.#reached(tx, ({ records })'],
  ['new one held', 'if (!mayBeBehind) await this.#reached(tx, ({ changes })'],
  ['positions held', 'const behind = await readBehind(tx, this.#o);\n    if (!mayBeBehind'],
  ['state changed', 'await handOverChanges(tx, this.#o);'],
  ['changes handed over', 'const promotedAt = await recordPromotion('],
  ['recorded', 'await publishAll(tx, layers, to);'],
  ['published', 'await this.#o.published?.(tx);'],
  ['rights given', 'return { kind, from, to, forced, reason, promotedAt, behind, heldMs: performance'],
  ['committed', "await this.#pool.query('select pg_notify", 'committed'],
]);

/** Of the making of a generation: from then on its processes build it, whatever becomes of the command. */
export const rebuildSteps = stepsOf('cli/src/rebuild/begin.ts', [
  ['number taken', 'await prepare(o, { generation, base });'],
  ['tables made', 'const horizon = await inTransaction(pool, (tx) =>'],
  ['positions written', 'const { rowCount } = await tx.query(\n    `update ops.generation'],
  ['released', 'await converge(tx, o.schemas, await existingRoles('],
  ['committed', 'return { generation, ...chosen, ...horizon };', 'committed'],
]);

/** From its mark on nobody works on the generation any more, and what is left of it goes when the command is run again. */
export const dropSteps = stepsOf('libs/postgres/src/drop.ts', [
  ['locked', 'const never = await neverDropped(tx,'],
  ['marked', "await pool.query('select pg_notify", 'committed'],
  ['told', 'const replays = await inTransaction(', 'committed'],
  ['replays cancelled', 'const there = (await readDroppable(', 'committed'],
  ['let go', 'for (const schema of there) await dropSchema(', 'committed'],
  ['some tables gone', 'say(`dropping ', 'committed', 7],
  ['one schema empty', 'await dropStep(pool, `drop schema if exists', 'committed'],
  ['one schema gone', 'for (const { kind, name } of await relationsOf(', 'committed', 2],
  ['both schemas gone', 'const rows = await inTransaction(pool, (tx) => removeProtocolRows(', 'committed'],
  ['rows gone', 'return { generation, schemas: there, rows, replays };', 'committed'],
]);

const bin = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));

/** Runs a command that kills itself at this step; `code` -1: it was killed. */
export function killedAt(
  { name, edit, pass }: CommandStep,
  words: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  const { PATH = '', HOME = '' } = process.env;
  const order: FailPointOrder = { name, pass, signal: 'SIGKILL' };
  const edited = editedCode([edit], { LEAKAGE_FAIL_POINT: JSON.stringify(order) });
  return new Promise((resolve) => {
    const all = { env: { PATH, HOME, ...env, ...edited.env }, timeout: 120_000 };
    execFile(process.execPath, [...edited.execArgv, bin, ...words], all, (error, out, problems) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, problems });
    });
  });
}
