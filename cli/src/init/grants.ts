import type { Queryable } from '@leakage/postgres';
import { type Catalog, type Policy, policies, type Right, wantedRights } from './rights.ts';
import type { RoleName } from './role-table.ts';

export interface Schemas {
  readonly bronze: string;
  readonly silver: string;
  readonly gold: string;
}

/** What has to be executed so that the roles may do what they should, and nothing else. */
export interface Statements {
  readonly grants: readonly string[];
  readonly revokes: readonly string[];
  readonly policies: readonly string[];
}

/** Rights in which a role of ours is only named: of the roles that exist. */
export type ExistingRoles = Readonly<Partial<Record<RoleName, string>>>;

/** Compares what may be done with what should be possible, for everything that exists, all generations included. */
export async function missingStatements(db: Queryable, schemas: Schemas, roles: ExistingRoles): Promise<Statements> {
  const catalog = await readCatalog(db, schemas);
  const wanted = wantedRights(catalog).filter(({ role }) => role !== 'public' && roles[role] !== undefined);
  const found = await readRights(db, { schemas: ourSchemas(schemas, catalog), roles });
  const has = new Set(found.map(keyOf));
  const should = new Set(wanted.map(keyOf));
  return {
    grants: wanted.filter((right) => !has.has(keyOf(right))).map((right) => statement('grant', right, roles)),
    revokes: found.filter((right) => !should.has(keyOf(right))).map((right) => statement('revoke', right, roles)),
    policies: await policyStatements(db, roles),
  };
}

export async function readCatalog(db: Queryable, schemas: Schemas): Promise<Catalog> {
  interface Place {
    database: string;
    owned: boolean;
    silver: string | null;
    gold: string | null;
  }
  const { rows: places } = await db.query<Place>(
    `select d.datname::text as database, pg_has_role(d.datdba, 'USAGE') as owned,
            s.nspname::text as silver, g.nspname::text as gold
       from pg_database d
       left join ops.generation o on o.state <> 'dropped'
       left join pg_namespace s on s.nspname = $1 || '_' || o.id
       left join pg_namespace g on g.nspname = $2 || '_' || o.id
      where d.datname = current_database()
      order by o.id`,
    [schemas.silver, schemas.gold],
  );
  const generations = places.map(({ silver, gold }) => ({ silver, gold }));
  const names = [schemas.gold, ...generations.flatMap(({ gold }) => (gold === null ? [] : [gold]))];
  const { rows: views } = await db.query<{ name: string }>(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'v' and n.nspname = any ($1) order by 1`,
    [names],
  );
  const { rows: functions } = await db.query<{ name: string; signature: string }>(
    `select n.nspname || '.' || p.proname as name,
            format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as signature
       from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where n.nspname = any ($1) order by 2`,
    [['ops', schemas.bronze, ...names]],
  );
  return {
    database: places[0]?.owned === true ? places[0].database : null,
    bronze: schemas.bronze,
    gold: schemas.gold,
    generations,
    views: views.map(({ name }) => name),
    functions,
  };
}

function ourSchemas(schemas: Schemas, { generations }: Catalog): string[] {
  const numbered = generations.flatMap(({ silver, gold }) => [silver, gold]).filter((name) => name !== null);
  return ['ops', 'app', schemas.bronze, schemas.silver, schemas.gold, ...numbered];
}

// What nobody has granted or revoked is written nowhere: acldefault says what holds then. Of schema public only its own rights.
const RIGHTS = `
  with grantee (oid, role) as (
    select r.oid, m.role from unnest($1::text[], $2::text[]) as m (role, name) join pg_roles r on r.rolname = m.name
    union all
    select 0::oid, 'public'
  ),
  held (kind, name, col, acl) as (
    select 'database', d.datname::text, null, coalesce(d.datacl, acldefault('d', d.datdba))
      from pg_database d where d.datname = current_database() and pg_has_role(d.datdba, 'USAGE')
    union all
    select 'schema', n.nspname, null, coalesce(n.nspacl, acldefault('n', n.nspowner))
      from pg_namespace n where n.nspname = any ($3) or (n.nspname = 'public' and pg_has_role(n.nspowner, 'USAGE'))
    union all
    select 'table', n.nspname || '.' || c.relname, null,
           coalesce(c.relacl, acldefault(case c.relkind when 'S' then 's' else 'r' end::"char", c.relowner))
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($3) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'table', n.nspname || '.' || c.relname, a.attname, a.attacl
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($3) and a.attacl is not null and not a.attisdropped
    union all
    select 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), null,
           coalesce(p.proacl, acldefault('f', p.proowner))
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
     where n.nspname = any ($3)
  )
  select distinct g.role, h.kind as "on", h.name, h.col as "column", x.privilege_type as privilege
    from held h
   cross join lateral aclexplode(h.acl) x
    join grantee g on g.oid = x.grantee
   order by 1, 2, 3, 4, 5`;

/** What the roles and everybody (public) may do in these schemas. */
export async function readRights(
  db: Queryable,
  { schemas, roles }: { readonly schemas: readonly string[]; readonly roles: ExistingRoles },
): Promise<Right[]> {
  const named = Object.entries(roles);
  const { rows } = await db.query<Right>(RIGHTS, [named.map(([role]) => role), named.map(([, name]) => name), schemas]);
  return rows;
}

const keyOf = (right: Right): string =>
  [right.role, right.on, right.name, right.column ?? '', right.privilege].join('\n');

function statement(verb: 'grant' | 'revoke', right: Right, roles: ExistingRoles): string {
  const { on, column, privilege } = right;
  const what = privilege.toLowerCase() + (column === null ? '' : ` (${quoted(column)})`);
  // A signature is quoted already.
  const name = on === 'function' ? right.name : right.name.split('.').map(quoted).join('.');
  const role = right.role === 'public' ? 'public' : quoted(roles[right.role] ?? '');
  return `${verb} ${what} on ${on} ${name} ${verb === 'grant' ? 'to' : 'from'} ${role}`;
}

async function policyStatements(db: Queryable, roles: ExistingRoles): Promise<string[]> {
  const { rows } = await db.query<{
    table: string;
    name: string;
    command: string;
    using: string;
    check: string | null;
  }>(
    `select schemaname || '.' || tablename as "table", policyname as name, cmd as command, qual as using, with_check as check
       from pg_policies where schemaname = 'ops'`,
  );
  return policies.flatMap((policy) => {
    const name = roles[policy.role];
    if (name === undefined) return [];
    const stored = rows.find((row) => row.table === policy.table && row.name === name);
    if (stored === undefined) return [createPolicy(policy, name)];
    const same = stored.command === policy.command && stored.using === policy.using && stored.check === policy.check;
    return same ? [] : [`drop policy ${quoted(name)} on ${policy.table}`, createPolicy(policy, name)];
  });
}

function createPolicy({ table, command, using, check }: Policy, role: string): string {
  const checked = check === null ? '' : ` with check (${check})`;
  return `create policy ${quoted(role)} on ${table} for ${command.toLowerCase()} to ${quoted(role)} using (${using})${checked}`;
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
