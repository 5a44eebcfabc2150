import { inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import { shardOf } from '@leakage/schemas';
import type { Schemas } from '../init/grants.ts';
import { archiveTables, countWanted } from './archive-store.ts';
import { identitiesOf, type Silver } from './erasure-store.ts';

/** One question, which may have to read all of bronze. */
const STATEMENT_MS = 30 * 60_000;

/** How many rows of each table are the member's, without a change. */
export async function lookFor(
  pool: Pool,
  o: { readonly schemas: Schemas; readonly all: readonly Silver[]; readonly memberId: string },
): Promise<Record<string, number>> {
  const { schemas, all, memberId } = o;
  return await inTransaction(
    pool,
    async (tx) => {
      await tx.query(`select set_config('statement_timeout', $1, true)`, [String(STATEMENT_MS)]);
      const wanted = { memberId, identities: await identitiesOf(tx, all, memberId) };
      const found: Record<string, number> = {};
      for (const table of archiveTables) {
        const parent = `"${schemas.bronze}".${table.table}`;
        found[`${schemas.bronze}.${table.table}`] = await countWanted(tx, { table, parent, wanted });
      }
      for (const silver of all) Object.assign(found, await lookInSilver(tx, silver, memberId));
      return found;
    },
    { readOnly: true },
  );
}

async function lookInSilver(
  tx: Queryable,
  { schema, generation }: Silver,
  memberId: string,
): Promise<Record<string, number>> {
  const tables = {
    journey_event: 'member_id = $1',
    call: 'member_id = $1',
    member_profile: 'member_id = $1',
    call_fact: 'member_id = $1',
    journey_outcome: 'member_id = $1',
    conflict_record: `content ->> 'member_id' = $1`,
    quarantine_record: `source = 'members' and record_id = $1`,
  };
  const found: Record<string, number> = {};
  for (const [table, where] of Object.entries(tables)) {
    found[`silver_${generation}.${table}`] = await count(tx, `${schema}.${table} where ${where}`, [memberId]);
  }
  const logged = `"member_id":${JSON.stringify(memberId)}`;
  found[`silver_${generation}.change_log`] = await count(
    tx,
    `${schema}.change_log where shard = $1 and position($2 in changes) > 0`,
    [shardOf(memberId), logged],
  );
  return found;
}

async function count(db: Queryable, from: string, values: readonly unknown[]): Promise<number> {
  const { rows } = await db.query<{ found: number }>(`select count(*) as found from ${from}`, [...values]);
  return rows[0]?.found ?? 0;
}

/** What people have written in words of their own, where the id may stand: they alone can say whether it has to go. */
const WRITTEN = {
  'ops.repair_run': 'fix::text',
  'ops.repair': 'reason',
  'ops.disclosure': 'purpose',
  'ops.generation': 'note',
  'app.audit': 'purpose',
};

export async function mentions(db: Queryable, memberId: string): Promise<string[]> {
  const found: string[] = [];
  for (const [table, column] of Object.entries(WRITTEN)) {
    const { rows } = await db.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]);
    if (rows[0]?.there !== true) continue;
    const where = `position($1 in ${column}) > 0`;
    if ((await count(db, `${table} where ${where}`, [memberId])) > 0)
      found.push(`${table} (${column.replace('::text', '')})`);
  }
  return found;
}
