import { ensureTopics, type KafkaClient } from '@leakage/kafka';
import { beginBuilding, inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import { allTopics } from '@leakage/schemas';
import { type GenerationToPrepare, type Migrated, prepareServices } from '../service-once.ts';
import { type Converged, converge } from './converge.ts';
import type { ExistingRoles, Schemas } from './grants.ts';
import { inventPasswords, keepUrls } from './passwords.ts';
import {
  checkRoles,
  databasesShared,
  existingRoles,
  type MadeRoles,
  makeRoles,
  type Passwords,
  rolesRefused,
} from './roles.ts';

export interface InitOptions {
  readonly kafka: KafkaClient;
  readonly topicPrefix: string;
  /** Whether there is a topic for outsiders (RELAY_CHANGES). */
  readonly relayed: boolean;
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly schemas: Schemas;
  readonly rolePrefix: string;
  /** The one of GENERATION, where it is set: made if it is not there, and ready to be worked on. */
  readonly generation: number | undefined;
  /** false: roles are made elsewhere; those that exist get their rights. */
  readonly makesRoles: boolean;
  readonly passwords: Passwords;
  /** Where invented passwords go. */
  readonly urlsFile: string;
  readonly say: (line: string) => void;
}

export interface InitReport {
  readonly topics: { readonly created: readonly string[]; readonly differences: readonly string[] };
  readonly migrated: readonly Migrated[];
  readonly roles: readonly string[];
  readonly created: readonly string[];
  readonly passwordsSet: readonly string[];
  /** Where the passwords are that were invented, if any were. */
  readonly urlsFile: string | null;
  readonly rights: Converged;
  readonly notes: readonly string[];
}

/** Any number, the same for all of us: one init works on a database at a time. */
const lockKey = 4_718_263;

/** Makes everything that services need and may not make themselves. Changes nothing where everything is as it should be. */
export async function initialise(o: InitOptions): Promise<InitReport> {
  const topics = await ensureTopics(o.kafka, allTopics(o.topicPrefix, o));
  o.say(topics.created.length > 0 ? `topics created: ${topics.created.join(', ')}` : 'topics are there');
  return await o.pool.withConnection(async (lock) => {
    await lock.query('select pg_advisory_lock($1)', [lockKey]);
    try {
      // First, because nothing has been changed yet.
      await checkRoles(lock, o.rolePrefix);
      o.say('every service prepares its schema');
      const generations = await generationsToPrepare(lock, o.generation);
      const migrated = await prepareServices(generations);
      if (o.generation !== undefined) await beginBuilding(lock, o.generation);
      return { topics, migrated, ...(await giveRights(o)) };
    } finally {
      if (lock.lost === null) await lock.query('select pg_advisory_unlock($1)', [lockKey]);
    }
  });
}

/** Every one that exists, because an upgrade may change the tables of all; the one that was asked for; the first, where there is none. */
async function generationsToPrepare(db: Queryable, asked: number | undefined): Promise<GenerationToPrepare[]> {
  const { rows: there } = await db.query<{ there: boolean }>(
    `select to_regclass('ops.generation') is not null as there`,
  );
  const { rows } =
    there[0]?.there === true
      ? await db.query<GenerationToPrepare>(
          `select id, case when $1::int is null then state <> 'active' else id <> $1 end as "ownRules"
             from ops.generation where state <> 'dropped' order by id`,
          [asked ?? null],
        )
      : { rows: [] };
  const missing = asked ?? (rows.length === 0 ? 1 : null);
  if (missing === null || rows.some(({ id }) => id === missing)) return rows;
  return [...rows, { id: missing, ownRules: false }];
}

/** All of it or nothing. */
async function giveRights(o: InitOptions): Promise<Omit<InitReport, 'topics' | 'migrated'>> {
  o.say('roles and rights');
  try {
    return await inTransaction(o.pool, async (tx) => {
      const made = o.makesRoles ? await makeAll(tx, o) : { created: [], passwordsSet: [], urlsFile: null };
      const roles = await existingRoles(tx, o.rolePrefix);
      const rights = await converge(tx, o.schemas, roles);
      return {
        roles: Object.values(roles),
        ...named(made, roles),
        urlsFile: made.urlsFile,
        rights,
        notes: await notesOf(tx, roles),
      };
    });
  } catch (error) {
    throw rolesRefused(error) ?? error;
  }
}

async function makeAll(tx: Queryable, o: InitOptions): Promise<MadeRoles & { urlsFile: string | null }> {
  const before = await existingRoles(tx, o.rolePrefix);
  const invented = inventPasswords(o.passwords, (role) => before[role] !== undefined);
  const made = await makeRoles(tx, { prefix: o.rolePrefix, passwords: { ...o.passwords, ...invented } });
  const any = Object.keys(invented).length > 0;
  // Before the commit: a password that nobody knows would be of no use.
  if (any) keepUrls(o.urlsFile, { url: o.databaseUrl, prefix: o.rolePrefix, passwords: invented });
  return { ...made, urlsFile: any ? o.urlsFile : null };
}

function named(made: MadeRoles, roles: ExistingRoles): { created: string[]; passwordsSet: string[] } {
  const names = (list: MadeRoles['created']) => list.map((role) => roles[role] ?? role);
  return { created: names(made.created), passwordsSet: names(made.passwordsSet) };
}

async function notesOf(tx: Queryable, roles: ExistingRoles): Promise<string[]> {
  const shared = await databasesShared(tx, roles);
  if (shared.length === 0) return [];
  return [
    `the same roles may do something in ${shared.join(', ')} too: roles belong to the whole server, give each installation its own --role-prefix`,
  ];
}
