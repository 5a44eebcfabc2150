import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createLogger } from '@leakage/runtime';
import { eventually, freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate, migrateOps } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const project = fileURLToPath(new URL('../../../', import.meta.url));
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
let directory: string;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', log });
  directory = await mkdtemp(join(tmpdir(), 'migrations-'));
  await writeFile(
    join(directory, '0001_first.sql'),
    '-- Some words before.\n-- Up Migration\ncreate table a (id int);\nselect pg_sleep(0.3);\n',
  );
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
  await rm(directory, { recursive: true });
});

const program = `
  import { migrate, migrateOps } from '@leakage/postgres';
  import { createLogger } from '@leakage/runtime';
  const log = createLogger({ service: 'migrating' });
  const [url, directory] = process.argv.slice(1);
  await migrateOps({ url, log });
  await migrate({ url, schemas: ['many_1'], directory, log });`;

test('three processes at once: one does it, the others wait, none fails', { timeout: 60_000 }, async () => {
  const run = () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '-e', program, database.url, directory], {
      cwd: project,
    });
  const outputs = await Promise.all([run(), run(), run()]);
  const migrated = outputs
    .flatMap(({ stdout }) => stdout.split('\n'))
    .filter((line) => line.includes('"schema migrated"'));
  expect(migrated.map((line) => (JSON.parse(line) as { schema: string }).schema).sort()).toEqual(['many_1', 'ops']);
  const { rows } = await pool.query(`select name from many_1.migrations`);
  expect(rows).toEqual([{ name: '0001_first' }]);
  expect((await pool.query('select from many_1.a')).rowCount).toBe(0);
});

test('a connection that is lost while it migrates fails the call, and nothing else', async () => {
  const slow = await mkdtemp(join(tmpdir(), 'migrations-'));
  await writeFile(join(slow, '0001_slow.sql'), '-- Up Migration\nselect pg_sleep(30);\n');
  const failing = migrate({ url: database.url, schemas: ['cut_1'], directory: slow, log }).then(
    () => 'done',
    (error: unknown) => String(error),
  );
  const cut = async () => {
    const { rowCount } = await pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'leakage-migrate' and query like '%pg_sleep%'`,
    );
    return rowCount > 0;
  };
  await eventually(cut, { what: 'the migration to run' });
  expect(await failing).toMatch(/terminat/);
  expect((await pool.query('select from cut_1.migrations')).rowCount).toBe(0);
  await rm(slow, { recursive: true });
});

test('a later migration is added, in the target schema, with the search path of all schemas', async () => {
  await writeFile(join(directory, '0002_second.sql'), '-- Up Migration\ncreate view b as select id from a;\n');
  await pool.query('create schema elsewhere; create table elsewhere.a (id int, more int)');
  await migrate({ url: database.url, schemas: ['many_1'], directory, log });
  await migrate({ url: database.url, schemas: ['many_1'], directory, log });
  const { rows } = await pool.query(
    `select view_schema, table_schema from information_schema.view_table_usage where view_name = 'b'`,
  );
  expect(rows).toEqual([{ view_schema: 'many_1', table_schema: 'many_1' }]);
});

test('a migration that fails leaves nothing of itself, and its error', async () => {
  await writeFile(join(directory, '0003_third.sql'), '-- Up Migration\ncreate table c (id int);\nselect 1 / 0;\n');
  await expect(migrate({ url: database.url, schemas: ['many_1'], directory, log })).rejects.toThrow(/division by zero/);
  const { rows } = await pool.query(
    `select to_regclass('many_1.c') as c, (select count(*) from many_1.migrations) as done`,
  );
  expect(rows).toEqual([{ c: null, done: 2 }]);
});

test('ops is there once, however often it is asked for', async () => {
  await Promise.all([migrateOps({ url: database.url, log }), migrateOps({ url: database.url, log })]);
  expect((await pool.query('select from ops.position')).rowCount).toBe(0);
});

test('a schema name that would have to be quoted is refused', async () => {
  await expect(migrate({ url: database.url, schemas: ['x"; drop'], directory, log })).rejects.toThrow(/not usable/);
});
