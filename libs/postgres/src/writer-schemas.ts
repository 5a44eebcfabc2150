import type { Queryable } from './connection.ts';

/** What was learned of schema registries, for when they do not answer. */
export function writerSchemaStore(db: Queryable): {
  load(registry: string, id: number): Promise<string | null>;
  save(registry: string, id: number, schema: string): Promise<void>;
} {
  return {
    async load(registry, id) {
      const { rows } = await db.query<{ schema: string }>(
        'select schema from ops.writer_schema where registry = $1 and schema_id = $2',
        [registry, id],
      );
      return rows[0]?.schema ?? null;
    },
    async save(registry, id, schema) {
      // The registry's word counts: one that was emptied and filled anew gives its ids to other schemas.
      await db.query(
        `insert into ops.writer_schema (registry, schema_id, schema) values ($1, $2, $3)
         on conflict (registry, schema_id) do update set schema = excluded.schema, learned_at = now()
          where writer_schema.schema is distinct from excluded.schema`,
        [registry, id, schema],
      );
    },
  };
}
