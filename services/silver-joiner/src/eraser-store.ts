import type { Queryable } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { CALLS, JOURNEYS, MEMBERS, type SourceTable, type Version } from './sources.ts';

export interface EraserStatements {
  /** Removes versions, by what they are or by whose they are, and gives them back. */
  readonly take: Readonly<Record<Source, { readonly id: string; readonly member: string }>>;
  readonly contents: string;
  readonly alone: string;
  readonly trim: string;
}

/** `schema` is quoted. */
export function eraserStatements(schema: string): EraserStatements {
  const takeBy = (table: string, column: string) => `
delete from ${schema}."${table}" t
 where t.ctid = any (array(select f.ctid from ${schema}."${table}" f where f."${column}" = any ($1::text[]) limit $2))
returning to_jsonb(t) as row`;
  const take = <R extends Version>({ table, key }: SourceTable<R>) => ({
    id: takeBy(table, String(key[0])),
    member: takeBy(table, 'member_id'),
  });
  return {
    take: { journeys: take(JOURNEYS), calls: take(CALLS), members: take(MEMBERS) },
    contents: `delete from ${schema}.conflict_record where content ->> 'member_id' = $1 returning source, identity`,
    alone: `
delete from ${schema}.conflict_record c
 using unnest($1::text[], $2::text[]) as f (source, identity)
 where c.source = f.source and c.identity = f.identity
   and not exists (select from ${schema}.conflict_record o
                    where o.source = c.source and o.identity = c.identity and o.content_hash <> c.content_hash)`,
    trim: `delete from ${schema}.change_log where shard = $1 and last_seq < $2`,
  };
}

/** The number of contents that were removed; those that were left alone by it are not counted. */
export async function forgetContents(tx: Queryable, sql: EraserStatements, memberId: string): Promise<number> {
  const { rows } = await tx.query<{ source: string; identity: string }>(sql.contents, [memberId]);
  if (rows.length > 0) {
    await tx.query(sql.alone, [rows.map((row) => row.source), rows.map((row) => row.identity)]);
  }
  return rows.length;
}

export async function readShards(tx: Queryable, generation: number): Promise<number[]> {
  const { rows } = await tx.query<{ shard: number }>('select shard from ops.shard where generation = $1', [generation]);
  return rows.map(({ shard }) => shard);
}

const READERS = `
  select r.reader, r.next_seq as "nextSeq", s.change_seq as "changeSeq"
    from ops.shard s
    left join ops.reader r on r.generation = s.generation and r.shard = s.shard
   where s.generation = $1 and s.shard = $2`;

/** Under the shard's lock, as the joiner does it: nobody registers as a reader meanwhile. Who has not read everything yet. */
export async function trimRead(
  tx: Queryable,
  sql: EraserStatements,
  { generation, shard }: { readonly generation: number; readonly shard: number },
): Promise<string[]> {
  const { rows } = await tx.query<{ reader: string | null; nextSeq: number | null; changeSeq: number }>(READERS, [
    generation,
    shard,
  ]);
  const changeSeq = rows[0]?.changeSeq ?? 0;
  const readers = rows.flatMap(({ reader, nextSeq }) =>
    reader === null || nextSeq === null ? [] : [{ reader, nextSeq }],
  );
  // Whoever registers later begins with the facts that are there then.
  await tx.query(sql.trim, [shard, Math.min(changeSeq + 1, ...readers.map(({ nextSeq }) => nextSeq))]);
  return readers.filter(({ nextSeq }) => nextSeq <= changeSeq).map(({ reader }) => reader);
}
