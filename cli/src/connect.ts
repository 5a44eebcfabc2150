import { createKafkaClient, type KafkaAccess, type KafkaClient, kafkaClientOptions } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import {
  createLogger,
  type Environment,
  environmentFile,
  kafkaSettings,
  type Logger,
  loadSettings,
  RefusedError,
  readEnvironment,
  withoutPassword,
} from '@leakage/runtime';
import { CommandError } from './command-error.ts';
import { answersAt } from './probe.ts';

/** Of libraries, a command shows what is wrong and nothing else; its own output is for people or is one JSON document. */
export function quietLogger(command: string): Logger {
  return createLogger({ service: `leakage-${command}`, level: 'error', stream: process.stderr });
}

/** The address of the database: DATABASE_URL, else what `leakage up` wrote into the data folder. */
export function databaseUrl(environment: Environment = readEnvironment()): string {
  return environment.DATABASE_URL ?? nowhere('DATABASE_URL');
}

/** Kafka and the topic prefix: what KAFKA_BROKERS and TOPIC_PREFIX say, else what `leakage up` wrote, else the default prefix. */
export function kafkaAddress(environment: Environment = readEnvironment()): {
  access: KafkaAccess;
  topicPrefix: string;
} {
  if (environment.KAFKA_BROKERS === undefined) nowhere('KAFKA_BROKERS');
  const settings = loadSettings(kafkaSettings, environment);
  return { access: kafkaClientOptions(settings), topicPrefix: settings.topicPrefix };
}

export function connectKafka(command: string): { kafka: KafkaClient; topicPrefix: string } {
  const { access, topicPrefix } = kafkaAddress();
  return {
    kafka: createKafkaClient({ ...access, clientId: `leakage-${command}`, log: quietLogger(command) }),
    topicPrefix,
  };
}

/** Lends a pool for the time of `work`; that Postgres does not answer is said in one sentence. */
export async function withDatabase<T>(command: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const url = databaseUrl();
  const pool = createPool({ url, applicationName: `leakage-${command}`, log: quietLogger(command) });
  try {
    await checkAnswer(pool, url);
    return await work(pool);
  } finally {
    await pool.stop();
  }
}

/** Ends the command with one sentence, and soon, when no broker is there: the client would try for half a minute. */
export async function checkKafka({ brokers }: KafkaClient): Promise<void> {
  const answers = await Promise.all(brokers.map((broker) => answersAt(`kafka://${broker}`)));
  if (answers.includes(true)) return;
  throw new CommandError(
    `Nothing listens at ${brokers.join(', ')}: start Kafka with npm start, or set KAFKA_BROKERS to where it runs.`,
  );
}

async function checkAnswer(pool: Pool, url: string): Promise<void> {
  let reason = 'nothing listens there';
  try {
    if (await answersAt(url)) {
      await pool.query('select 1');
      return;
    }
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    reason = error instanceof Error ? error.message || error.name : String(error);
  }
  throw new CommandError(
    `Postgres does not answer at ${withoutPassword(url)} (${reason}): start it with npm start, or set DATABASE_URL to where it runs.`,
  );
}

function nowhere(variable: string): never {
  throw new CommandError(
    `${variable} is set neither in the environment nor in ${environmentFile()}: start the local servers with npm start, or set it.`,
  );
}
