import { createHash } from 'node:crypto';
import { type SinkTx, sqlState, textArray } from '@leakage/postgres';
import type { Outcome, Reduced } from './domain/reduce.ts';
import type { Change } from './domain/types.ts';
import type { Arrival, SourceTable, Version } from './sources.ts';
import { stageColumns, type TableEncoder } from './staging.ts';

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
  /** What became of the staged winner of each identity that was not accepted. */
  readonly refused: Map<string, Exclude<Outcome, 'accepted'>>;
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

/** Of the records of a partition: the offsets of those that were written, and the rows whose place they took. */
interface WrittenOfPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: readonly number[];
  readonly replaced: readonly StoredJson[];
}

/** Another process has stored an identity that was new a moment ago: roll back, and run again. */
export class AddedMeanwhileError extends Error {
  constructor(options: ErrorOptions) {
    super('another process stored a record with an identity of this batch meanwhile', options);
    this.name = 'AddedMeanwhileError';
  }
}

/** The statements for one source, made once. */
export interface MergeStatements {
  readonly target: string;
  readonly stored: string;
  readonly insert: string;
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
  const first = quoted(table.key[0] ?? '');
  return {
    target,
    // The array comes from a sub-select, because the planner would look at every element of one that it sees.
    stored: `select ${first} as first from ${target} where ${first} = any ((select $1::text[])::text[])`,
    // Both in key order, so that two processes that meet on an identity wait for each other and never deadlock.
    // Of what is new, two thirds of the price of the merge, which makes a tentative entry in the index for every row.
    insert: `
insert into ${target} (${list(columns)})
select ${list(columns)} from ${table.stage} where ${first} not in (select unnest($1::text[])) order by ${list(keys)}`,
    // A row gives way to a higher revision, or to a greater content of the same one: the order of arrival cannot show
    // (law 5). "is true", because a bare "in" would become a join, and these sessions have nested loops only.
    merge: `
with written as (
insert into ${target} as t (${list(columns)})
select ${list(columns)} from ${table.stage} where (${first} in (select unnest($1::text[]))) is true order by ${list(keys)}
on conflict (${list(keys)}) do update set ${sets.join(', ')}, processing_timestamp = now()
 where excluded.revision > t.revision
    or (excluded.revision = t.revision and ${table.contentSql('excluded')} > ${table.contentSql('t')})
returning new.source_topic, new.source_partition, new.source_offset, case when old.${first} is not null then to_jsonb(old) end as replaced)
select source_topic as topic, source_partition as partition, json_agg(source_offset) as offsets,
       coalesce(json_agg(replaced) filter (where replaced is not null), '[]') as replaced
  from written group by source_topic, source_partition`,
    // What the merge did not write it has locked all the same, so this read is final.
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

export interface MergeInput<R extends Version, K extends keyof R & string> {
  readonly table: SourceTable<R, K>;
  readonly statements: MergeStatements;
  readonly reduced: Reduced<Arrival<R>>;
  /** Null: the winners are staged. Else they are not, and what is new goes straight into the table. */
  readonly direct: TableEncoder<R> | null;
}

/**
 * Puts the staged winners of one source into its table: what is new as it is, the rest by merging. Conflicts are kept as a
 * function of the set of records: all distinct contents at an identity's highest revision, whichever of them came first.
 */
export async function mergeSource<R extends Version, K extends keyof R & string>(
  tx: SinkTx,
  input: MergeInput<R, K>,
): Promise<Merged<R>> {
  const { table, reduced } = input;
  const merged: Merged<R> = {
    changes: [],
    refused: new Map(),
    rivals: [],
    overruled: 0,
    raised: [],
    shards: new Set(),
  };
  if (reduced.winners.size === 0) return merged;

  const replaced = await store(tx, input, merged);
  for (const [identity, winner] of reduced.winners) {
    if (merged.refused.has(identity)) continue;
    const stored = replaced.get(identity);
    const before = stored === undefined ? null : table.parse(stored);
    merged.changes.push({ before, after: winner.row });
    if (stored === undefined || before === null) continue;
    merged.shards.add(stored.shard);
    if (before.revision < winner.row.revision) {
      merged.raised.push(identity);
      continue;
    }
    merged.overruled += 1;
    merged.rivals.push(rivalOf(table, winner), rivalStored(table, identity, stored));
  }

  for (const [identity, others] of reduced.rivals) {
    const winner = reduced.winners.get(identity);
    // Contents below the stored revision are in conflict with nothing any more.
    if (winner === undefined || merged.refused.get(identity) === 'superseded') continue;
    for (const arrival of [winner, ...others]) merged.rivals.push(rivalOf(table, arrival));
  }
  return merged;
}

/** Stores the winners, and notes what became of those that were refused. Returns the rows that gave way, by identity. */
async function store<R extends Version, K extends keyof R & string>(
  tx: SinkTx,
  input: MergeInput<R, K>,
  merged: Merged<R>,
): Promise<Map<string, StoredJson>> {
  const { table, statements, reduced, direct } = input;
  const [first] = table.key;
  const firstOf = ({ row }: Arrival<R>): string => String(first === undefined ? '' : row[first]);
  const winners = [...reduced.winners.values()];
  const firsts = winners.map(firstOf);
  const known = await storedFirsts(tx, statements, firsts);
  const knownFirsts = textArray([...known]);
  const unsure = known.size === 0 ? [] : winners.filter((winner) => known.has(firstOf(winner)));
  if (direct === null) {
    const newCount = winners.length - unsure.length;
    if (newCount > 0 && (await insertNew(tx, statements, knownFirsts)) !== newCount) {
      throw new Error(`of ${newCount} new records of ${table.source} not all were inserted`);
    }
  } else {
    const added = known.size === 0 ? winners : winners.filter((winner) => !known.has(firstOf(winner)));
    if (added.length > 0) await unlessAdded(tx.copyAll(direct.encode(added, statements.target)));
    if (unsure.length > 0) await tx.copyAll(direct.encode(unsure));
  }
  if (unsure.length === 0) return new Map();

  const { rows } = await tx.query<WrittenOfPartition>(statements.merge, [knownFirsts]);
  const written = new Map(rows.map((row) => [`${row.topic}/${row.partition}`, new Set(row.offsets)]));
  const isWritten = ({ topic, partition, offset }: Arrival<R>): boolean =>
    written.get(`${topic}/${partition}`)?.has(offset) ?? false;
  const refused = unsure.filter((winner) => !isWritten(winner));
  if (refused.length > 0) await classify(tx, { ...input, refused }, merged);
  return new Map(rows.flatMap((row) => row.replaced.map((stored) => [table.identity(table.parse(stored)), stored])));
}

/** Those of the first key columns that the table has. */
async function storedFirsts(tx: SinkTx, { stored }: MergeStatements, firsts: string[]): Promise<Set<string>> {
  const { rows } = await tx.query<{ first: string }>(stored, [textArray(firsts)]);
  return new Set(rows.map((row) => row.first));
}

async function insertNew(tx: SinkTx, { insert }: MergeStatements, knownFirsts: Buffer): Promise<number> {
  return (await unlessAdded(tx.query(insert, [knownFirsts]))).rowCount;
}

async function unlessAdded<T>(adding: Promise<T>): Promise<T> {
  try {
    return await adding;
  } catch (error) {
    throw sqlState(error) === '23505' ? new AddedMeanwhileError({ cause: error }) : error;
  }
}

/** What became of the records that were not written. */
async function classify<R extends Version, K extends keyof R & string>(
  tx: SinkTx,
  o: {
    readonly table: SourceTable<R, K>;
    readonly statements: MergeStatements;
    readonly reduced: Reduced<Arrival<R>>;
    readonly refused: readonly Arrival<R>[];
  },
  merged: Merged<R>,
): Promise<void> {
  const { table, reduced, refused } = o;
  const [first] = table.key;
  if (first === undefined) return;
  const wanted = new Set(refused.map(({ identity }) => identity));
  const { rows } = await tx.query<Pick<R, K> & { outcome: Exclude<Outcome, 'accepted'>; stored: StoredJson | null }>(
    o.statements.classify,
    [[...new Set(refused.map(({ row }) => row[first]))]],
  );
  for (const row of rows) {
    const identity = table.identity(row);
    const winner = reduced.winners.get(identity);
    if (winner === undefined || !wanted.has(identity)) continue;
    merged.refused.set(identity, row.outcome);
    if (row.stored !== null) merged.rivals.push(rivalOf(table, winner), rivalStored(table, identity, row.stored));
  }
  if (merged.refused.size !== wanted.size) throw new Error(`a staged record of ${table.source} has no outcome`);
}
