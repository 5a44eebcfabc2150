import { createHash } from 'node:crypto';
import type { Queryable } from '@leakage/postgres';
import type { Outcome, Reduced } from './domain/reduce.ts';
import type { Change } from './domain/types.ts';
import type { Arrival, SourceTable, Version } from './sources.ts';
import { stageColumns } from './staging.ts';

/** One content of an identity that has several at its highest revision. */
export interface Rival {
  readonly identity: string;
  readonly revision: number;
  readonly hash: Buffer;
  /** The compared fields by name, as JSON. */
  readonly content: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Merged<R extends Version> {
  readonly changes: Change<R>[];
  /** What became of the staged winner of each identity. */
  readonly outcomes: Map<string, Outcome>;
  readonly rivals: Rival[];
  /** How many winners took the place of another content of their revision. */
  overruled: number;
  /** Identities whose revision was raised: what was in conflict before is settled. */
  readonly raised: string[];
  /** Shards of the members that replaced rows belonged to. */
  readonly shards: Set<number>;
}

interface Provenance {
  readonly shard: number;
  readonly source_topic: string;
  readonly source_partition: number;
  readonly source_offset: number;
}

/** A stored row as `to_jsonb` gives it: instants are texts. */
type StoredJson = Readonly<Record<string, unknown>> & Provenance;

/** The statements for one source, made once. */
export interface MergeStatements {
  readonly merge: string;
  readonly classify: string;
}

const quoted = (name: string): string => `"${name}"`;
const list = (names: readonly string[]): string => names.map(quoted).join(', ');

export function mergeStatements<R extends Version, K extends keyof R & string>(
  schema: string,
  table: SourceTable<R, K>,
): MergeStatements {
  const target = `${quoted(schema)}.${quoted(table.table)}`;
  const columns = stageColumns(table);
  const keys: readonly string[] = table.key;
  const sets = columns
    .filter((name) => !keys.includes(name))
    .map((name) => `${quoted(name)} = excluded.${quoted(name)}`);
  const [first] = table.key;
  return {
    // In key order, so that two processes that meet on an identity wait for each other and never deadlock. A row gives
    // way to a higher revision, or to a greater content of the same one: the order of arrival cannot show (law 5).
    merge: `
insert into ${target} as t (${list(columns)})
select ${list(columns)} from ${table.stage} order by ${list(keys)}
on conflict (${list(keys)}) do update set ${sets.join(', ')}, processing_timestamp = now()
 where excluded.revision > t.revision
    or (excluded.revision = t.revision and ${table.contentSql('excluded')} > ${table.contentSql('t')})
returning ${keys.map((name) => `new.${quoted(name)}`).join(', ')},
          case when old.${first} is not null then to_jsonb(old) end as replaced`,
    // What the merge did not return it has locked all the same, so this read is final.
    classify: `
select ${keys.map((name) => `s.${quoted(name)}`).join(', ')},
       case when t.revision > s.revision then 'superseded' when c.same then 'duplicates' else 'conflicts' end as outcome,
       case when t.revision = s.revision and not c.same then to_jsonb(t) end as stored
  from ${table.stage} s
  join ${target} t on ${keys.map((name) => `t.${quoted(name)} = s.${quoted(name)}`).join(' and ')}
 cross join lateral (select ${table.contentSql('t')} = ${table.contentSql('s')} as same) c
 where s.${first} = any ($1)`,
  };
}

function hashContent(names: readonly string[], values: readonly (string | null)[]) {
  const content = JSON.stringify(Object.fromEntries(names.map((name, i) => [name, values[i] ?? null])));
  return { content, hash: createHash('sha256').update(JSON.stringify(values)).digest() };
}

function rivalOf<R extends Version>(table: SourceTable<R>, arrival: Arrival<R>): Rival {
  const { row, identity, topic, partition, offset } = arrival;
  const named = hashContent(table.contentNames, table.content(row));
  return { identity, revision: row.revision, ...named, topic, partition, offset };
}

function rivalStored<R extends Version>(table: SourceTable<R>, identity: string, stored: StoredJson): Rival {
  const row = table.parse(stored);
  const { source_topic: topic, source_partition: partition, source_offset: offset } = stored;
  return {
    identity,
    revision: row.revision,
    ...hashContent(table.contentNames, table.content(row)),
    topic,
    partition,
    offset,
  };
}

/**
 * Merges the staged winners of one source. Conflicts are kept as a function of the set of records: all distinct contents
 * at an identity's highest revision, whichever of them came first.
 */
export async function mergeSource<R extends Version, K extends keyof R & string>(
  tx: Queryable,
  {
    table,
    statements,
    reduced,
  }: {
    readonly table: SourceTable<R, K>;
    readonly statements: MergeStatements;
    readonly reduced: Reduced<Arrival<R>>;
  },
): Promise<Merged<R>> {
  const merged: Merged<R> = {
    changes: [],
    outcomes: new Map(),
    rivals: [],
    overruled: 0,
    raised: [],
    shards: new Set(),
  };
  if (reduced.winners.size === 0) return merged;

  const { rows } = await tx.query<Pick<R, K> & { replaced: StoredJson | null }>(statements.merge);
  for (const row of rows) {
    const identity = table.identity(row);
    const winner = reduced.winners.get(identity);
    if (winner === undefined) throw new Error(`the merge of ${table.source} returned a row that was not staged`);
    merged.outcomes.set(identity, 'accepted');
    const before = row.replaced === null ? null : table.parse(row.replaced);
    merged.changes.push({ before, after: winner.row });
    if (row.replaced === null || before === null) continue;
    merged.shards.add(row.replaced.shard);
    if (before.revision < winner.row.revision) {
      merged.raised.push(identity);
      continue;
    }
    merged.overruled += 1;
    merged.rivals.push(rivalOf(table, winner), rivalStored(table, identity, row.replaced));
  }
  await classifyRest(tx, { table, statements, reduced }, merged);

  for (const [identity, others] of reduced.rivals) {
    const winner = reduced.winners.get(identity);
    // Contents below the stored revision are in conflict with nothing any more.
    if (winner === undefined || merged.outcomes.get(identity) === 'superseded') continue;
    for (const arrival of [winner, ...others]) merged.rivals.push(rivalOf(table, arrival));
  }
  return merged;
}

async function classifyRest<R extends Version, K extends keyof R & string>(
  tx: Queryable,
  {
    table,
    statements,
    reduced,
  }: {
    readonly table: SourceTable<R, K>;
    readonly statements: MergeStatements;
    readonly reduced: Reduced<Arrival<R>>;
  },
  merged: Merged<R>,
): Promise<void> {
  const [first] = table.key;
  if (first === undefined || merged.outcomes.size === reduced.winners.size) return;
  const open = [...reduced.winners.values()].filter((winner) => !merged.outcomes.has(winner.identity));
  const keys = [...new Set(open.map((winner) => winner.row[first]))];
  const { rows } = await tx.query<Pick<R, K> & { outcome: Outcome; stored: StoredJson | null }>(statements.classify, [
    keys,
  ]);
  for (const row of rows) {
    const identity = table.identity(row);
    const winner = reduced.winners.get(identity);
    if (winner === undefined || merged.outcomes.has(identity)) continue;
    merged.outcomes.set(identity, row.outcome);
    if (row.stored !== null) merged.rivals.push(rivalOf(table, winner), rivalStored(table, identity, row.stored));
  }
  if (merged.outcomes.size !== reduced.winners.size)
    throw new Error(`a staged record of ${table.source} has no outcome`);
}
