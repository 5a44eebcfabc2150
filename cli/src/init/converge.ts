import type { Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { type ExistingRoles, missingStatements, type Schemas } from './grants.ts';
import { existingRoles } from './roles.ts';

/** How many of each had to be executed. */
export interface Converged {
  readonly granted: number;
  readonly revoked: number;
  readonly policies: number;
}

/** Revoking a table's right takes that of its columns along: the next round gives those back that are wanted. */
const roundsMax = 3;

/** Gives the roles what they should be able to do, and takes away what else they could, for everything that exists. */
export async function converge(tx: Queryable, schemas: Schemas, roles: ExistingRoles): Promise<Converged> {
  const done = { granted: 0, revoked: 0, policies: 0 };
  // Services that run as the owner need no rights, and what everybody may do is then nobody's concern.
  if (Object.keys(roles).length === 0) return done;
  for (let round = 0; ; round++) {
    const { grants, revokes, policies } = await missingStatements(tx, schemas, roles);
    const all = [...revokes, ...grants, ...policies];
    if (all.length === 0) return done;
    if (round === roundsMax)
      throw new CommandError(`Rights could not be set: ${all[0]} has no effect. Are you the owner?`);
    for (const statement of all) await tx.query(statement);
    done.granted += grants.length;
    done.revoked += revokes.length;
    done.policies += policies.length;
  }
}

/** The roles of every init that has ever worked on this database, each with its own prefix: their policies tell. */
export async function rolesOfDatabase(db: Queryable): Promise<ExistingRoles[]> {
  const { rows } = await db.query<{ prefix: string }>(
    `select distinct regexp_replace(policyname, '_(bronze|silver|gold)$', '') as prefix
       from pg_policies where schemaname = 'ops' and policyname ~ '_(bronze|silver|gold)$' order by 1`,
  );
  const found: ExistingRoles[] = [];
  for (const { prefix } of rows) found.push(await existingRoles(db, prefix));
  return found;
}
