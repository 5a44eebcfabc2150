import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CommandError } from './command-error.ts';

const projectFolder = join(import.meta.dirname, '..', '..');

/** Those that own a part of the database. */
export const owningServices = ['bronze-sink', 'silver-joiner', 'gold-aggregator', 'api'] as const;
type OwningService = (typeof owningServices)[number];

export interface Migrated {
  readonly schema: string;
  readonly migrations: readonly string[];
}

/** Has a service bring its part of the database to its newest form, and tells what was done. Throws CommandError. */
async function prepareService(name: OwningService, env: NodeJS.ProcessEnv = {}): Promise<Migrated[]> {
  const { code, said, migrated } = await runOnce(name, '--prepare', env);
  if (code === 0) return migrated;
  throw new CommandError(`${name}: ${said.join('\n')}`, code === 2 ? 2 : 1);
}

/** Has the tables of one generation made, and the generation itself with the rules that `env` says where there is none yet. */
export async function prepareGeneration(generation: number, env: NodeJS.ProcessEnv = {}): Promise<Migrated[]> {
  const own = { ...env, GENERATION: String(generation) };
  const silver = await prepareService('silver-joiner', own);
  // Gold's views read silver's tables.
  return [...silver, ...(await prepareService('gold-aggregator', own))];
}

export interface GenerationToPrepare {
  readonly id: number;
  /** It was made with rules of its own: what the settings say about rules is not meant for it. */
  readonly ownRules: boolean;
}

/** What shapes a generation when it is made; afterwards it knows its rules itself. */
const ruleVariables = ['LEAKAGE_WINDOW_MINUTES', 'REPEAT_SCOPE', 'REASON_TABLE', 'TIME_ZONE'] as const;
/** Rules that are not set: an empty variable counts as that, also where a file would set it. */
export const withoutRules: Readonly<Record<string, string>> = Object.fromEntries(
  ruleVariables.map((name) => [name, '']),
);

/**
 * Has all of them do so, for each of these generations; throws what the first one that failed has said, when none of them works
 * any more.
 */
export async function prepareServices(generations: readonly GenerationToPrepare[]): Promise<Migrated[]> {
  const ofGenerations = async () => {
    const migrated: Migrated[] = [];
    for (const { id, ownRules } of generations) {
      migrated.push(...(await prepareGeneration(id, ownRules ? withoutRules : {})));
    }
    return migrated;
  };
  const parts = await Promise.allSettled([prepareService('bronze-sink'), ofGenerations(), prepareService('api')]);
  return parts.flatMap((part) => {
    if (part.status === 'rejected') throw part.reason;
    return part.value;
  });
}

/** What the database lacks of what a service needs, and what its settings are wrong about, in sentences. */
export async function checkService(name: OwningService): Promise<string[]> {
  const { code, said } = await runOnce(name, '--check');
  return code === 0 ? [] : said;
}

interface LogLine {
  readonly level?: string;
  readonly msg?: string;
  readonly schema?: string;
  readonly migrations?: readonly string[];
}

/** More than that is not for a person to read. */
const saidMax = 20;

async function runOnce(name: OwningService, mode: '--prepare' | '--check', env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [join(projectFolder, 'services', name, 'src', 'main.ts'), mode], {
    env: { ...process.env, ...env, LOG_LEVEL: 'info' },
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
  return { code, said: said.slice(-saidMax), migrated };
}

function parsed(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: 'error', msg: line };
  }
}
