import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError } from '../command-error.ts';

const projectFolder = join(import.meta.dirname, '..', '..', '..');

/** Silver before gold, whose views read silver's tables. */
export const preparing = ['bronze-sink', 'silver-joiner', 'gold-aggregator', 'api'] as const;

export interface Migrated {
  readonly schema: string;
  readonly migrations: readonly string[];
}

interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly schema?: string;
  readonly migrations?: readonly string[];
}

const saidMax = 20;

/** Has a service bring its part of the database to its newest form, and tells what was done. A service owns its schema. */
export async function prepareService(name: (typeof preparing)[number]): Promise<Migrated[]> {
  const child = spawn(process.execPath, [join(projectFolder, 'services', name, 'src', 'main.ts'), '--prepare'], {
    env: { ...process.env, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const migrated: Migrated[] = [];
  const said: string[] = [];
  createInterface(child.stderr).on('line', (line) => said.push(line));
  createInterface(child.stdout).on('line', (line) => {
    const { level, msg = '', schema, migrations } = parsed(line);
    if (schema !== undefined && migrations !== undefined) migrated.push({ schema, migrations });
    if (level === 'error' || level === 'fatal') said.push(msg);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === 0) return migrated;
  throw new CommandError(`${name}: ${said.slice(-saidMax).join('\n')}`, code === 2 ? 2 : 1);
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: 'error', msg: line };
  }
}
