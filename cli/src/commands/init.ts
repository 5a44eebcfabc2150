import { join, resolve } from 'node:path';
import { createPool } from '@leakage/postgres';
import {
  dataDirectory,
  generationSettings,
  loadSettings,
  readEnvironment,
  relaySettings,
  schemaSettings,
} from '@leakage/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { checkKafka, connectKafka, databaseUrl, quietLogger, withDatabase } from '../connect.ts';
import { type InitReport, initialise } from '../init/initialise.ts';
import { passwordSettings } from '../init/passwords.ts';
import { openScreen } from '../up/screen.ts';

interface InitCommandOptions {
  readonly json?: true;
  readonly roles: boolean;
  readonly rolePrefix: string;
  readonly urlsFile?: string;
}

const defaultPrefix = 'leakage';
/** Connections: the lock, and the work. */
const connections = 2;
/** Policies need a table for themselves for a moment, in which a batch that is under way has to end. */
const lockTimeoutMs = 60_000;

export function register(program: Command): void {
  program
    .command('init')
    .summary('topics, schemas, and a login for each service')
    .description(
      'Makes everything that services need and need not be allowed to make: topics (what differs in an existing one is said, ' +
        'never changed), all schemas in their newest form, the generation of GENERATION (or the first one) with the rules that are set, ' +
        'the published views of the active one, and logins that may do what their service does and nothing else. To be run with the ' +
        "owner's DATABASE_URL, once, after each upgrade, and for each new generation; services may run meanwhile. Where nothing " +
        'is missing it changes nothing.\n\nPasswords of new logins come from LEAKAGE_BRONZE_PASSWORD, LEAKAGE_SILVER_PASSWORD, ' +
        'LEAKAGE_GOLD_PASSWORD, LEAKAGE_API_PASSWORD and LEAKAGE_READER_PASSWORD, or are invented and written into a file that ' +
        'only you can read. Setting such a variable later changes the password.',
    )
    .option(
      '--role-prefix <name>',
      'first part of the names of the logins, which belong to the whole server',
      prefix,
      defaultPrefix,
    )
    .option('--no-roles', 'make no login and change no password; those that exist get their rights')
    .option('--urls-file <path>', 'where invented passwords go (default: database-urls.env in LEAKAGE_DATA_DIR)')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ DATABASE_URL=postgres://owner@db/main KAFKA_BROKERS=kafka:9092 npx leakage init\n' +
        '  $ GENERATION=2 LEAKAGE_WINDOW_MINUTES=45 npx leakage init    prepares generation 2\n' +
        '  $ npx leakage init --no-roles    where logins are made elsewhere',
    )
    .action(init);
}

async function init(options: InitCommandOptions): Promise<void> {
  const environment = readEnvironment();
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, environment);
  const passwords = loadSettings(passwordSettings, environment);
  const { kafka, topicPrefix } = connectKafka('init');
  const url = databaseUrl(environment);
  await withDatabase('init', async () => undefined);
  await checkKafka(kafka);
  const screen = openScreen(process.stderr);
  const pool = createPool({
    url,
    applicationName: 'leakage-init',
    max: connections,
    lockTimeoutMs,
    log: quietLogger('init'),
  });
  try {
    const report = await initialise({
      kafka,
      topicPrefix,
      relayed: loadSettings(relaySettings, environment).relayChanges,
      pool,
      databaseUrl: url,
      schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
      rolePrefix: options.rolePrefix,
      generation: loadSettings(generationSettings, environment).generation,
      makesRoles: options.roles,
      passwords,
      urlsFile: resolve(options.urlsFile ?? join(dataDirectory(), 'database-urls.env')),
      say: screen.renew,
    });
    screen.renew('');
    process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${lines(report).join('\n')}\n`);
  } finally {
    await pool.stop();
  }
}

function prefix(text: string): string {
  if (/^[a-z_][a-z0-9_]{0,40}$/.test(text) && !text.startsWith('pg_')) return text;
  throw new InvalidArgumentError(
    'up to 41 lower-case letters, digits and _ are wanted, not beginning with a digit or pg_',
  );
}

function lines(report: InitReport): string[] {
  const { topics, migrated, roles, created, passwordsSet, urlsFile, rights, notes } = report;
  const line = (what: string, found: string) => `${what.padEnd(10)}${found}`;
  const list = (names: readonly string[], none: string) => (names.length === 0 ? none : names.join(', '));
  const changes = rights.granted + rights.revoked + rights.policies;
  return [
    line(
      'topics',
      list(
        topics.created.map((name) => `${name} created`),
        'were there',
      ),
    ),
    ...topics.differences.map((difference) => line('', `${difference} (not changed)`)),
    line(
      'schemas',
      list(
        migrated.map(({ schema, migrations }) => `${schema}: ${migrations.join(' ')}`),
        'were in their newest form',
      ),
    ),
    line('logins', list(roles, 'none: nothing was granted')),
    ...(created.length > 0 ? [line('', `created: ${created.join(', ')}`)] : []),
    ...(passwordsSet.length > 0 ? [line('', `new password: ${passwordsSet.join(', ')}`)] : []),
    ...(urlsFile === null ? [] : [line('', `their DATABASE_URLs are in ${urlsFile}`)]),
    line(
      'rights',
      changes === 0
        ? 'were as they should be'
        : `${rights.granted} granted, ${rights.revoked} revoked, ${rights.policies} policies`,
    ),
    ...notes.map((text) => line('note', text)),
  ];
}
