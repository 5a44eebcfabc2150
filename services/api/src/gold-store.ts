import type { Pool } from '@leakage/postgres';
import type { Version } from './answers.ts';
import { type Column, isoInstant, jsonRow, type Resource, timelineColumns } from './resources.ts';
import { inSnapshot, type Snapshot } from './snapshot.ts';

export interface Rows {
  readonly generation: number;
  readonly as_of: string | null;
  /** There were more rows than the limit. */
  readonly truncated: boolean;
  readonly rows: Record<string, unknown>[];
}

export interface GoldStore {
  /** The rows of a gold table. `filters`: by name as in the resource; what is not given does not filter. */
  read(resource: Resource, filters: Readonly<Record<string, string>>, limit: number): Promise<Rows & Version>;
  /** The version of gold now. */
  version(): Promise<Version>;
  /** What silver holds of a member, in order. */
  timeline(memberId: string, limit: number): Promise<Rows>;
}

export function goldStore(pool: Pool, goldSchema: string): GoldStore {
  return {
    read: (resource, filters, limit) => {
      const values: string[] = [];
      const conditions = Object.entries(resource.filters).flatMap(([name, { column, operator }]) => {
        const value = filters[name];
        return value === undefined ? [] : [`${column} ${operator} $${values.push(value)}`];
      });
      return inSnapshot(pool, async (snapshot) => ({
        ...(await versionOf(snapshot, goldSchema)),
        ...(await select(snapshot, { goldSchema, ...resource, conditions, values, limit })),
      }));
    },
    version: () => inSnapshot(pool, (snapshot) => versionOf(snapshot, goldSchema)),
    timeline: (memberId, limit) =>
      inSnapshot(pool, (snapshot) =>
        select(snapshot, {
          goldSchema,
          table: 'journey_timeline',
          columns: timelineColumns,
          conditions: ['member_id = $1'],
          values: [memberId],
          order: 'event_sequence',
          limit,
        }),
      ),
  };
}

/** Everything that figures are made of has a part in it: cells change with a fold, watermarks and facts with a commit of silver, dollars with a parameter. */
async function versionOf({ tx, generation }: Snapshot, goldSchema: string): Promise<Version> {
  const { rows } = await tx.query<{ version: string }>(
    `select concat_ws(' ', $1::int, g.folded_at,
                      (select sum(s.state_version) from ops.shard s where s.generation = $1),
                      (select sum(r.next_seq) from ops.reader r where r.reader = 'gold' and r.generation = $1),
                      (select string_agg(p.name || '=' || p.value, ' ' order by p.name) from ops.parameter p)) as version
       from ${goldSchema}_${generation}.this_generation g`,
    [generation],
  );
  return { generation, version: rows[0]?.version ?? String(generation) };
}

interface Selection {
  readonly goldSchema: string;
  readonly table: string;
  readonly columns: readonly Column[];
  /** Column names come from the resource; only values come from a caller, as parameters. */
  readonly conditions: readonly string[];
  readonly values: readonly string[];
  readonly order: string;
  readonly limit: number;
}

async function select({ tx, generation }: Snapshot, selection: Selection): Promise<Rows> {
  const { goldSchema, table, columns, conditions, values, order, limit } = selection;
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
  const { rows } = await tx.query<Record<string, unknown>>(
    `select ${columns.map((column) => column.name).join(', ')} from ${goldSchema}_${generation}.${table} ${where}
      order by ${order} limit $${values.length + 1}`,
    [...values, limit + 1],
  );
  return {
    generation,
    as_of: isoInstant(rows[0]?.as_of),
    truncated: rows.length > limit,
    rows: rows.slice(0, limit).map((row) => jsonRow(columns, row)),
  };
}
