import type { Pool } from '@leakage/postgres';

/** The tables of the whole database in which any column of any row holds a text, as text or as bytes; `table: rows`. */
export async function tablesWith(pool: Pool, text: string): Promise<string[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)' order by 1`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    // A row as text has bytes in hex.
    const { rows } = await pool.query<{ found: number }>(
      `select count(*) as found from ${name} t where position($1 in t::text) > 0 or position($2 in t::text) > 0`,
      [text, Buffer.from(text).toString('hex')],
    );
    if ((rows[0]?.found ?? 0) > 0) found.push(`${name}: ${rows[0]?.found}`);
  }
  return found;
}
