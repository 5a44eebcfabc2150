import { stat } from 'node:fs/promises';
import { naiveCharges, naivePlan } from '@leakage/oracle';
import { loadGeneration, type Pool } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { existingGeneration } from '../generation.ts';
import { CsvReader } from '../import/csv.ts';
import { linesOf } from '../import/lines.ts';
import type { Charge } from './judge.ts';

const ROWS_PER_FETCH = 10_000;

/** A table has one of these for the session, and the others. */
const SESSION_COLUMNS = ['session_id', 'digital_session_id'] as const;

/** Gets what a table charges, row by row; a row without a leakage type charges nothing. */
export type Take = (charge: Charge) => void;

/** The facts of the active generation, or what the naive join would charge over its cleaned tables. */
export async function chargesOfGeneration(
  pool: Pool,
  o: { silverSchema: string; naive: boolean },
  take: Take,
): Promise<void> {
  const id = await existingGeneration(pool);
  const generation = await loadGeneration(pool, id);
  if (generation === null) throw new CommandError(`Generation ${id} has disappeared: try again.`);
  const silver = `${o.silverSchema}_${id}`;
  if (o.naive) {
    const join = naiveCharges({ windowMs: generation.rules.windowMs, schemas: { silver } });
    await eachRow(pool, { sql: join, before: naivePlan }, take);
  } else {
    const facts = `select call_id, digital_session_id as session_id, leakage_type from "${silver}".digital_call_leakage`;
    await eachRow(pool, { sql: `${facts} where attribution = 'leakage'`, before: [] }, take);
  }
}

/** Any table or view, by its name with or without a schema. */
export async function chargesOfTable(pool: Pool, name: string, take: Take): Promise<void> {
  const parts = name.split('.');
  if (parts.length > 2 || parts.some((part) => !/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(part)))
    throw new CommandError(`${name} is no name of a table: give schema.table, in plain letters.`, 2);
  const table = parts.map((part) => `"${part}"`).join('.');
  const { rows } = await pool.query<{ name: string }>(
    `select attname::text as name from pg_attribute where attrelid = to_regclass($1) and attnum > 0 and not attisdropped`,
    [table],
  );
  if (rows.length === 0) throw new CommandError(`There is no table ${name} in this database.`, 2);
  const session = sessionColumn(
    name,
    rows.map((row) => row.name),
  );
  const columns = `call_id::text as call_id, "${session}"::text as session_id, leakage_type::text as leakage_type`;
  await eachRow(pool, { sql: `select ${columns} from ${table} where leakage_type is not null`, before: [] }, take);
}

/** CSV with a header, or JSON lines. */
export async function chargesOfFile(path: string, take: Take): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.isDirectory()) throw new CommandError(`There is no file ${path}.`, 2);
  await (/\.csv$/i.test(path) ? chargesOfCsv(path, take) : chargesOfJson(path, take));
}

async function chargesOfCsv(path: string, take: Take): Promise<void> {
  const reader = new CsvReader();
  let at: { call: number; session: number; type: number } | null = null;
  for await (const lines of linesOf(path)) {
    for (const record of reader.read(lines)) {
      if ('refused' in record) throw new CommandError(`${path}, line ${record.line}: ${record.refused}.`);
      const cells = record.cells.map((cell) => cell.trim());
      if (at === null) {
        const session = sessionColumn(path, cells);
        at = {
          call: cells.indexOf('call_id'),
          session: cells.indexOf(session),
          type: cells.indexOf('leakage_type'),
        };
      } else if (cells[at.type]) {
        take({
          callId: cells[at.call] ?? '',
          sessionId: cells[at.session] ?? null,
          leakageType: cells[at.type] ?? null,
        });
      }
    }
  }
}

async function chargesOfJson(path: string, take: Take): Promise<void> {
  let checked = false;
  for await (const lines of linesOf(path)) {
    for (const { number, bytes } of lines) {
      const text = bytes?.toString('utf8').trim() ?? '?';
      if (text === '') continue;
      const row = objectOf(text);
      if (row === null) throw new CommandError(`${path}, line ${number}: no JSON object.`);
      if (!checked) sessionColumn(path, Object.keys(row));
      checked = true;
      const type = textOf(row.leakage_type);
      const sessionId = textOf(row.session_id) ?? textOf(row.digital_session_id);
      if (type !== null) take({ callId: textOf(row.call_id) ?? '', sessionId, leakageType: type });
    }
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

function sessionColumn(name: string, columns: readonly string[]): string {
  const session = SESSION_COLUMNS.find((column) => columns.includes(column));
  if (session !== undefined && columns.includes('call_id') && columns.includes('leakage_type')) return session;
  throw new CommandError(
    `${name} has the columns ${columns.join(', ')}: call_id, session_id (or digital_session_id) and leakage_type are needed.`,
    2,
  );
}

interface Row {
  readonly call_id: string;
  readonly session_id: string | null;
  readonly leakage_type: string | null;
}

/** With a cursor, so that memory does not grow with the table. */
async function eachRow(pool: Pool, o: { sql: string; before: readonly string[] }, take: Take): Promise<void> {
  await pool.withConnection(async (connection) => {
    await connection.query('begin isolation level repeatable read, read only');
    for (const statement of o.before) await connection.query(statement);
    await connection.query(`declare charges no scroll cursor for ${o.sql}`);
    for (;;) {
      const { rows } = await connection.query<Row>(`fetch ${ROWS_PER_FETCH} from charges`);
      if (rows.length === 0) break;
      for (const { call_id, session_id, leakage_type } of rows) {
        take({ callId: call_id, sessionId: session_id, leakageType: leakage_type });
      }
    }
    await connection.query('rollback');
  });
}
