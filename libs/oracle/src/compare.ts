/** Two relations side by side: how many rows were compared, how many differ, and the first of these. */
import { wholeNumber } from './sql.ts';
import type { Check, Difference, OracleQuery } from './types.ts';

export interface Comparison {
  name: string;
  /** Columns that identify a row; never null in either relation. */
  key: readonly string[];
  /** Every other column that must be equal. */
  columns: readonly string[];
  /** What says to which local day a row belongs: a date, or an instant; absent: to none. */
  day?: string | { readonly instant: string };
  /** Select of the oracle's rows; one row per key. */
  expected: string;
  /** Select of the stored rows. */
  actual: string;
}

/** Texts are compared under an explicit collation: two columns of different collations cannot be compared as they are. */
export async function compare(query: OracleQuery, c: Comparison, examples: number): Promise<Check> {
  const started = performance.now();
  const types = await columnTypes(query, c);
  const side = (alias: string, column: string) =>
    types.get(column)?.startsWith('text') ? `${alias}."${column}" collate "C"` : `${alias}."${column}"`;
  const first = c.key[0];
  if (first === undefined) throw new Error(`comparison ${c.name} has no key`);
  const on = c.key.map((column) => `${side('e', column)} = ${side('a', column)}`).join(' and ');
  const unequal = [`e."${first}" is null`, `a."${first}" is null`].concat(
    c.columns.map((column) => `${side('e', column)} is distinct from ${side('a', column)}`),
  );
  const joined = `(${c.expected}) e full join (${c.actual}) a on ${on}`;
  const differing = unequal.join('\n    or ');
  const counted = await query(
    `select count(*)::float8 as compared, count(*) filter (where ${differing})::float8 as differences from ${joined}`,
  );
  const { compared, differences } = counted.rows[0] as { compared: number; differences: number };
  const found =
    differences === 0 ? [] : await firstDifferences(query, { c, joined, differing, first, limit: examples });
  return { name: c.name, compared, differences, examples: found, elapsedMs: performance.now() - started };
}

async function firstDifferences(
  query: OracleQuery,
  o: { c: Comparison; joined: string; differing: string; first: string; limit: number },
): Promise<Difference[]> {
  const order = o.c.key.map((column) => `coalesce(e."${column}"::text, a."${column}"::text) collate "C"`).join(', ');
  const { rows } = await query(
    `select case when e."${o.first}" is not null then to_jsonb(e) end as expected,
            case when a."${o.first}" is not null then to_jsonb(a) end as actual
       from ${o.joined} where ${o.differing} order by ${order} limit ${wholeNumber(o.limit)}`,
  );
  return rows.map((row) => {
    const { expected, actual } = row as Pick<Difference, 'expected' | 'actual'>;
    const present = expected ?? actual ?? {};
    return {
      key: Object.fromEntries(o.c.key.map((column) => [column, present[column]])),
      expected,
      actual,
      columns:
        expected !== null && actual !== null
          ? o.c.columns.filter((column) => JSON.stringify(expected[column]) !== JSON.stringify(actual[column]))
          : [],
    };
  });
}

/** Which of the compared columns are text, asked of the server itself. */
async function columnTypes(query: OracleQuery, c: Comparison): Promise<Map<string, string>> {
  const columns = [...c.key, ...c.columns];
  const { rows } = await query(
    `select ${columns.map((column) => `max(pg_typeof("${column}")::text) as "${column}"`).join(', ')}
       from (select * from (${c.expected}) e limit 0) t
      right join (select 1) one on true`,
  );
  return new Map(Object.entries(rows[0] ?? {}).map(([column, type]) => [column, String(type)]));
}
