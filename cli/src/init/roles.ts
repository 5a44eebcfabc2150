import { type Queryable, sqlState } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { type ExistingRoles, quoted } from './grants.ts';
import { type RoleName, roleNames, roleTable } from './role-table.ts';
import { isVerifierOf, scramVerifier } from './scram.ts';

export type Passwords = Readonly<Partial<Record<RoleName, string>>>;

interface StoredRole {
  readonly role: RoleName;
  readonly name: string;
  readonly powers: string[];
  readonly self: boolean;
  readonly owns: string | null;
}

/** Those of our roles that the server has. */
export async function existingRoles(db: Queryable, prefix: string): Promise<ExistingRoles> {
  return Object.fromEntries((await storedRoles(db, prefix)).map(({ role, name }) => [role, name]));
}

async function storedRoles(db: Queryable, prefix: string): Promise<StoredRole[]> {
  const named = Object.entries(roleNames(prefix));
  const { rows } = await db.query<StoredRole>(
    `select m.role, m.name, r.rolname = current_user as self,
            array_remove(array[case when r.rolsuper then 'superuser' end, case when r.rolcreaterole then 'createrole' end,
                               case when r.rolcreatedb then 'createdb' end, case when r.rolreplication then 'replication' end,
                               case when r.rolbypassrls then 'bypassrls' end], null)
              || array(select 'member of ' || g.rolname::text from pg_auth_members a join pg_roles g on g.oid = a.roleid
                        where a.member = r.oid order by g.rolname) as powers,
            (select min(n.nspname || '.' || c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
              where c.relowner = r.oid and n.nspname !~ '^pg_') as owns
       from unnest($1::text[], $2::text[]) with ordinality as m (role, name, nr)
       join pg_roles r on r.rolname = m.name
      order by m.nr`,
    [named.map(([role]) => role), named.map(([, name]) => name)],
  );
  return rows;
}

/** Refuses to give rights to a role that has more of them already than any grant here could tell of. */
export async function checkRoles(db: Queryable, prefix: string): Promise<void> {
  for (const { name, powers, self, owns } of await storedRoles(db, prefix)) {
    if (self) {
      throw new CommandError(
        `DATABASE_URL is the login of a service (${name}): init is run by the owner of the database, so set it to the owner's login.`,
      );
    }
    const why = powers.length > 0 ? `is ${powers.join(', ')}` : owns !== null ? `owns ${owns}` : null;
    if (why === null) continue;
    throw new CommandError(
      `Role ${name} ${why}, so its rights cannot be limited: take that away from it, or choose other names with --role-prefix.`,
    );
  }
}

export interface MadeRoles {
  readonly created: RoleName[];
  readonly passwordsSet: RoleName[];
}

/**
 * Creates the roles that are missing and sets the passwords given. Of a role that exists, only a password that differs is
 * changed; its connection limit and settings stay what somebody has made of them.
 */
export async function makeRoles(
  db: Queryable,
  { prefix, passwords }: { readonly prefix: string; readonly passwords: Passwords },
): Promise<MadeRoles> {
  const names = roleNames(prefix);
  const existing = await existingRoles(db, prefix);
  const stored = await storedVerifiers(db, prefix);
  const made: MadeRoles = { created: [], passwordsSet: [] };
  for (const { name: role, connections, settings } of roleTable) {
    const password = passwords[role];
    const name = quoted(names[role]);
    if (existing[role] === undefined) {
      if (password === undefined) throw new Error(`role ${names[role]} has no password`);
      // Never the password itself: a server may log its statements.
      await db.query(
        `create role ${name} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls
                connection limit ${connections} password '${scramVerifier(password)}'`,
      );
      made.created.push(role);
    } else if (password !== undefined && !isVerifierOf(stored.get(names[role]) ?? '', password)) {
      await db.query(`alter role ${name} login password '${scramVerifier(password)}'`);
      made.passwordsSet.push(role);
    }
    await setOnce(db, { role: names[role], settings });
  }
  return made;
}

/** Only a superuser may read them; whoever may not sets a given password again. */
async function storedVerifiers(db: Queryable, prefix: string): Promise<Map<string, string>> {
  const { rows } = await db.query<{ readable: boolean }>(
    `select has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'select') as readable`,
  );
  if (rows[0]?.readable !== true) return new Map();
  const stored = await db.query<{ name: string; verifier: string }>(
    `select rolname::text as name, coalesce(rolpassword, '') as verifier from pg_authid where rolname = any ($1)`,
    [Object.values(roleNames(prefix))],
  );
  return new Map(stored.rows.map(({ name, verifier }) => [name, verifier]));
}

async function setOnce(
  db: Queryable,
  { role, settings }: { readonly role: string; readonly settings: Readonly<Record<string, string>> },
): Promise<void> {
  if (Object.keys(settings).length === 0) return;
  const { rows } = await db.query<{ database: string; there: boolean }>(
    `select current_database()::text as database,
            exists (select from pg_db_role_setting s join pg_roles r on r.oid = s.setrole
                     where r.rolname = $1 and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))) as there`,
    [role],
  );
  const [found] = rows;
  if (found === undefined || found.there) return;
  for (const [name, value] of Object.entries(settings)) {
    await db.query(`alter role ${quoted(role)} in database ${quoted(found.database)} set ${name} = '${value}'`);
  }
}

/** Other databases of this server in which our roles may do something: they are shared with another installation. */
export async function databasesShared(db: Queryable, roles: ExistingRoles): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select distinct d.datname::text as name
       from pg_shdepend s
       join pg_roles r on s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid
       join pg_database d on d.oid = coalesce(nullif(s.dbid, 0), case when s.classid = 'pg_database'::regclass then s.objid end)
      where r.rolname = any ($1) and d.datname <> current_database()
      order by 1`,
    [Object.values(roles)],
  );
  return rows.map(({ name }) => name);
}

/** What Postgres said, with what to do, where the login may not make roles. */
export function rolesRefused(error: unknown): CommandError | null {
  if (sqlState(error) !== '42501') return null;
  return new CommandError(
    `The login of DATABASE_URL may not make roles or grants (${error instanceof Error ? error.message : String(error)}). ` +
      'It has to own the database and to have CREATEROLE; where roles are made elsewhere, use --no-roles.',
    1,
    { cause: error },
  );
}
