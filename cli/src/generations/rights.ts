import { inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import { converge, rolesOfDatabase } from '../init/converge.ts';
import { missingStatements, type Schemas } from '../init/grants.ts';
import { rolesRefused } from '../init/roles.ts';

/** Logins of services and readers may do with every generation what they should, before one of them is the active one. */
export async function prepareRights(pool: Pool, schemas: Schemas): Promise<void> {
  try {
    await inTransaction(pool, async (tx) => {
      for (const roles of await rolesOfDatabase(tx)) await converge(tx, schemas, roles);
    });
  } catch (error) {
    throw rolesRefused(error) ?? error;
  }
}

/** A stable view that had to be made anew has lost its rights: readers get them in the same transaction. */
export async function grantViews(tx: Queryable, schemas: Schemas): Promise<void> {
  for (const roles of await rolesOfDatabase(tx)) {
    for (const statement of (await missingStatements(tx, schemas, roles)).grants) await tx.query(statement);
  }
}
