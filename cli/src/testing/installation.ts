import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger, readEnvironmentFile } from '@leakage/runtime';
import { freshDatabase, freshPrefix, temporaryFolder, testStack } from '@leakage/testing';
import { type RoleName, roleNames, roleTable } from '../init/role-table.ts';

const bin = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
const log = createLogger({ service: 'test', level: 'silent' });

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly problems: string;
}

/** A database and topics of its own, with logins of its own, for tests of `leakage init`. */
export interface Installation {
  readonly url: string;
  readonly rolePrefix: string;
  readonly topicPrefix: string;
  readonly env: Readonly<Record<string, string>>;
  readonly owner: Pool;
  /** Runs `leakage <words>` as a person does. */
  readonly leakage: (words: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Outcome>;
  /** Runs `leakage init` with this installation's prefix of logins; throws when it fails. */
  readonly init: (words?: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Outcome>;
  /** What init has written into its file. */
  readonly urlOf: (role: RoleName) => string;
  /** Works as one of the logins. */
  readonly as: <T>(url: string, work: (pool: Pool) => Promise<T>) => Promise<T>;
  readonly stop: () => Promise<void>;
}

export async function newInstallation(o: { readonly url?: string } = {}): Promise<Installation> {
  const { brokers, adminUrl } = await testStack();
  const database = o.url === undefined ? await freshDatabase() : { url: o.url, drop: async () => undefined };
  const rolePrefix = `t${randomBytes(4).toString('hex')}`;
  const topicPrefix = freshPrefix();
  const data = temporaryFolder();
  const env = {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: topicPrefix,
    LEAKAGE_DATA_DIR: data,
  };
  const owner = createPool({ url: database.url, applicationName: 'test', max: 2, log });
  const leakage: Installation['leakage'] = (words, more = {}) => {
    const { PATH = '', HOME = '' } = process.env;
    return new Promise((resolve) => {
      const all = { PATH, HOME, ...env, ...more };
      execFile(process.execPath, [bin, ...words], { env: all, timeout: 120_000 }, (error, out, problems) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, problems });
      });
    });
  };
  return {
    url: database.url,
    rolePrefix,
    topicPrefix,
    env,
    owner,
    leakage,
    init: async (words = [], more) => {
      const outcome = await leakage(['init', '--role-prefix', rolePrefix, ...words], more);
      if (outcome.code !== 0) throw new Error(`init ended with ${outcome.code}: ${outcome.problems}${outcome.out}`);
      return outcome;
    },
    urlOf: (role) => readEnvironmentFile(`${data}/database-urls.env`)[`${role.toUpperCase()}_DATABASE_URL`] ?? '',
    as: async (url, work) => {
      const pool = createPool({ url, applicationName: 'test', max: 1, log });
      try {
        return await work(pool);
      } finally {
        await pool.stop();
      }
    },
    stop: async () => {
      await owner.stop();
      await database.drop();
      const pool = createPool({ url: adminUrl, applicationName: 'test', max: 1, log });
      for (const { name } of roleTable) await pool.query(`drop role if exists ${roleNames(rolePrefix)[name]}`);
      await pool.stop();
    },
  };
}
