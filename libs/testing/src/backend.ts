/** Where the servers of a run come from: somebody's (env), containers (docker), or processes of this machine (local). */
export type Backend = 'env' | 'docker' | 'local';

export interface Given {
  readonly brokers?: string | undefined;
  readonly databaseUrl?: string | undefined;
}

export interface Choice {
  readonly given: Given;
  /** Who starts what is not given: the first of them that is there. Empty: everything is given. */
  readonly startedBy: readonly Exclude<Backend, 'env'>[];
}

/** What a run has started for itself, beside what was given. */
export interface OwnServers {
  readonly brokers: string;
  readonly databaseUrl: string;
  /** What runs where, in words. */
  readonly origin: string;
  /** Also forgets all data. */
  readonly stop: () => Promise<void>;
}

/** This kind of servers cannot be had on this machine; the message says why. Anything else that goes wrong is a failure. */
export class BackendMissing extends Error {}

/**
 * Addresses that are given are used, each for its own server; what is not given is started by Docker, else here.
 * TEST_BACKEND forces one of them.
 */
export function chooseBackend(env: Readonly<Record<string, string | undefined>>): Choice {
  const given = {
    brokers: env.KAFKA_BROKERS?.trim() || undefined,
    databaseUrl: env.DATABASE_URL?.trim() || undefined,
  };
  const complete = given.brokers !== undefined && given.databaseUrl !== undefined;
  switch (env.TEST_BACKEND?.trim() || undefined) {
    case undefined:
      return { given, startedBy: complete ? [] : ['docker', 'local'] };
    case 'env':
      if (complete) return { given, startedBy: [] };
      throw new Error('TEST_BACKEND=env needs KAFKA_BROKERS and DATABASE_URL, and at least one of them is not set.');
    case 'docker':
      return { given: {}, startedBy: ['docker'] };
    case 'local':
      return { given: {}, startedBy: ['local'] };
    default:
      throw new Error(`TEST_BACKEND is ${env.TEST_BACKEND}: it must be env, docker or local (or not set).`);
  }
}

export type Starters = Readonly<Record<Exclude<Backend, 'env'>, (given: Given) => Promise<OwnServers>>>;

/** Starts what is not given; whoever is passed over because it is not there is named, with the reason. */
export async function startServers(
  { given, startedBy }: Choice,
  starters: Starters,
  say: (line: string) => void,
): Promise<OwnServers> {
  for (const [at, backend] of startedBy.entries()) {
    const next = startedBy[at + 1];
    try {
      return await starters[backend](given);
    } catch (error) {
      if (!(error instanceof BackendMissing) || next === undefined) throw error;
      say(`Tests do not run on ${backend} (${error.message}), but on ${next}.`);
    }
  }
  const { brokers = '', databaseUrl = '' } = given;
  return { brokers, databaseUrl, origin: origin(given, ''), stop: async () => undefined };
}

/** "Kafka of KAFKA_BROKERS, Postgres ...", with `ours` for what was not given. */
export function origin(given: Given, ours: string): string {
  const kafka = given.brokers === undefined ? ours : 'of KAFKA_BROKERS';
  const postgres = given.databaseUrl === undefined ? ours : 'of DATABASE_URL';
  return `Kafka ${kafka}, Postgres ${postgres}`;
}
