import { createKafkaClient, ensureTopics, kafkaClientOptions } from '@leakage/kafka';
import { createPool } from '@leakage/postgres';
import {
  type Environment,
  kafkaConnectionSettings,
  loadSettings,
  RefusedError,
  SettingsError,
  withoutPassword,
} from '@leakage/runtime';
import { quietLogger } from '../connect.ts';
import { answersAt } from '../probe.ts';
import { type Check, no, note, ok } from './check.ts';

export interface Situation {
  /** Whether a start on the data folder is running now. */
  readonly running: boolean;
  /** Whether a start would bring its own. */
  readonly ownKafka: boolean;
  readonly ownPostgres: boolean;
}

const oldestVersion = 18;

/** Whether what the addresses lead to answers; addresses of our own servers count only while these run. */
export async function connectionChecks(environment: Environment, situation: Situation): Promise<Check[]> {
  const checks: Check[] = [];
  if (situation.running || !situation.ownKafka) checks.push(await kafka(environment));
  if (situation.running || !situation.ownPostgres) checks.push(await postgres(environment.DATABASE_URL));
  if (checks.length === 0) checks.push(ok('connections', 'not running: npm start brings its own Kafka and Postgres'));
  return checks;
}

async function kafka(environment: Environment): Promise<Check> {
  const name = 'Kafka';
  const { KAFKA_BROKERS: brokers } = environment;
  if (brokers === undefined)
    return note(name, 'running, but no address was written yet', 'Try again in a few seconds.');
  const list = brokers.split(',').map((broker) => broker.trim());
  const remedy = 'Start it, or set KAFKA_BROKERS to where it runs (unset it for a Kafka of our own).';
  const answers = await Promise.all(list.map((broker) => answersAt(`kafka://${broker}`)));
  if (!answers.includes(true)) return no(name, `nothing listens at ${brokers}`, remedy);
  try {
    const access = kafkaClientOptions(loadSettings(kafkaConnectionSettings, environment));
    await ensureTopics(createKafkaClient({ ...access, clientId: 'leakage-doctor', log: quietLogger('doctor') }), []);
    return ok(name, `answers at ${brokers}`);
  } catch (error) {
    return refused(name, error) ?? no(name, messageOf(error), remedy);
  }
}

async function postgres(url: string | undefined): Promise<Check> {
  const name = 'Postgres';
  if (url === undefined) return note(name, 'running, but no address was written yet', 'Try again in a few seconds.');
  const where = withoutPassword(url);
  const remedy = 'Start it, or set DATABASE_URL to where it runs (unset it for a Postgres of our own).';
  if (!(await answersAt(url))) return no(name, `nothing listens at ${where}`, remedy);
  const pool = createPool({ url, applicationName: 'leakage-doctor', max: 1, log: quietLogger('doctor') });
  try {
    const { rows } = await pool.query<{ version: number; database: string }>(
      `select current_setting('server_version_num')::int / 10000 as version, current_database() as database`,
    );
    return describe(rows[0] ?? { version: 0, database: '' }, where);
  } catch (error) {
    return refused(name, error) ?? no(name, `${where}: ${messageOf(error)}`, remedy);
  } finally {
    await pool.stop();
  }
}

function describe({ version, database }: { version: number; database: string }, where: string): Check {
  const name = 'Postgres';
  if (version < oldestVersion) {
    return no(
      name,
      `${where} is version ${version}`,
      `Version ${oldestVersion} is needed (old and new rows of one statement).`,
    );
  }
  if (database !== 'main') {
    return note(
      name,
      `version ${version}, but the database is called ${database}`,
      'Everything works except queries with three-part names (main.gold.daily_leakage_summary): leave main. out.',
    );
  }
  return ok(name, `version ${version} at ${where}`);
}

/** What a server refuses, and what the settings cannot mean, has a remedy of its own. */
function refused(name: string, error: unknown): Check | null {
  if (error instanceof RefusedError) return no(name, error.what, sentence(error.remedy));
  if (error instanceof SettingsError) return no(name, error.problems.join('; '), 'See docs/own-clusters.md.');
  return null;
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
