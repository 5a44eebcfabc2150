import { compareTopics, createKafkaClient, kafkaClientOptions } from '@leakage/kafka';
import { createPool } from '@leakage/postgres';
import {
  type Environment,
  kafkaConnectionSettings,
  kafkaSettings,
  loadSettings,
  RefusedError,
  relaySettings,
  SettingsError,
  withoutPassword,
} from '@leakage/runtime';
import { allTopics } from '@leakage/schemas';
import { quietLogger } from '../connect.ts';
import { answersAt } from '../probe.ts';
import { type Check, no, note, ok } from './check.ts';
import { databaseChecks } from './database.ts';

export interface Situation {
  /** Whether a start on the data folder is running now. */
  readonly running: boolean;
  /** Whether a start would bring its own. */
  readonly ownKafka: boolean;
  readonly ownPostgres: boolean;
  /** Looks into what answers as well: the first part of the names of the logins that init makes. */
  readonly thorough?: { readonly rolePrefix: string };
}

const oldestVersion = 18;

/** Whether what the addresses lead to answers; addresses of our own servers count only while these run. */
export async function connectionChecks(environment: Environment, situation: Situation): Promise<Check[]> {
  const checks: Check[] = [];
  if (situation.running || !situation.ownKafka) checks.push(...(await kafka(environment, situation)));
  if (situation.running || !situation.ownPostgres)
    checks.push(...(await postgres(environment.DATABASE_URL, situation)));
  if (checks.length === 0) checks.push(ok('connections', 'not running: npm start brings its own Kafka and Postgres'));
  return checks;
}

async function kafka(environment: Environment, { thorough }: Situation): Promise<Check[]> {
  const name = 'Kafka';
  const { KAFKA_BROKERS: brokers } = environment;
  if (brokers === undefined)
    return [note(name, 'running, but no address was written yet', 'Try again in a few seconds.')];
  const list = brokers.split(',').map((broker) => broker.trim());
  const remedy = 'Start it, or set KAFKA_BROKERS to where it runs (unset it for a Kafka of our own).';
  const answers = await Promise.all(list.map((broker) => answersAt(`kafka://${broker}`)));
  if (!answers.includes(true)) return [no(name, `nothing listens at ${brokers}`, remedy)];
  try {
    const access = kafkaClientOptions(loadSettings(kafkaConnectionSettings, environment));
    const client = createKafkaClient({ ...access, clientId: 'leakage-doctor', log: quietLogger('doctor') });
    const { topicPrefix, relayChanges: relayed } = loadSettings({ ...kafkaSettings, ...relaySettings }, environment);
    const found = await compareTopics(client, thorough === undefined ? [] : allTopics(topicPrefix, { relayed }));
    return [ok(name, `answers at ${brokers}`), ...(thorough === undefined ? [] : topics(found))];
  } catch (error) {
    return [refused(name, error) ?? no(name, messageOf(error), remedy)];
  }
}

function topics({ missing, differences }: { missing: string[]; differences: string[] }): Check[] {
  const name = 'topics';
  const lost =
    missing.length === 0
      ? []
      : [
          note(
            name,
            `${missing.join(', ')} not there yet`,
            'leakage init creates them, and so does every service that needs them.',
          ),
        ];
  const odd = differences.map((difference) => no(name, difference, alike(difference)));
  return lost.length + odd.length === 0 ? [ok(name, 'as they should be')] : [...lost, ...odd];
}

/** Partitions cannot be taken away, and one that is added gets records of members whose history lies elsewhere. */
function alike(difference: string): string {
  return difference.includes(' partitions,')
    ? 'Begin with topics of another TOPIC_PREFIX: the number of partitions of a topic that has records is not changed.'
    : 'Change it with kafka-configs.sh --alter --entity-type topics: nothing here alters a topic that exists.';
}

async function postgres(url: string | undefined, { thorough }: Situation): Promise<Check[]> {
  const name = 'Postgres';
  if (url === undefined) return [note(name, 'running, but no address was written yet', 'Try again in a few seconds.')];
  const where = withoutPassword(url);
  const remedy = 'Start it, or set DATABASE_URL to where it runs (unset it for a Postgres of our own).';
  if (!(await answersAt(url))) return [no(name, `nothing listens at ${where}`, remedy)];
  const pool = createPool({ url, applicationName: 'leakage-doctor', max: 1, log: quietLogger('doctor') });
  try {
    const { rows } = await pool.query<{ version: number; database: string }>(
      `select current_setting('server_version_num')::int / 10000 as version, current_database() as database`,
    );
    const server = describe(rows[0] ?? { version: 0, database: '' }, where);
    if (server.state === 'no' || thorough === undefined) return [server];
    return [server, ...(await databaseChecks(pool, thorough.rolePrefix))];
  } catch (error) {
    return [refused(name, error) ?? no(name, `${where}: ${messageOf(error)}`, remedy)];
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
