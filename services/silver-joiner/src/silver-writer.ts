import { instantParameter, type Queryable, type ShardRow } from '@leakage/postgres';
import { CALL_FACT_COLUMNS, type LoggedChange, OUTCOME_COLUMNS, type Writes } from './domain/writes.ts';
import { FACT_STAGE, type NumberedChange, OUTCOME_STAGE } from './fact-copies.ts';
import type { Rival } from './merge.ts';
import type { Watermarks } from './prepare.ts';
import { QUARANTINE_STAGE, quarantineColumns } from './staging.ts';

/** Staged rows take the place of stored ones. */
function upsert(target: string, stage: string, columns: readonly string[], key: readonly string[]): string {
  const names = columns.map((name) => `"${name}"`).join(', ');
  const sets = columns.filter((name) => !key.includes(name)).map((name) => `"${name}" = excluded."${name}"`);
  return `
insert into ${target} (${names})
select ${names} from ${stage} order by ${key.join(', ')}
on conflict (${key.join(', ')}) do update set ${sets.join(', ')}, processing_timestamp = now()`;
}

const OUTCOME_KEY = ['member_id', 'session_id', 'journey_type'] as const;

export interface WriterStatements {
  readonly changedFacts: string;
  readonly removeFacts: string;
  readonly changedOutcomes: string;
  readonly removeOutcomes: string;
  readonly quarantine: string;
  readonly settleConflicts: string;
  readonly conflicts: string;
  readonly trim: string;
}

/** `schema` is quoted. */
export function writerStatements(schema: string): WriterStatements {
  const quarantine = quarantineColumns.join(', ');
  return {
    changedFacts: upsert(`${schema}.call_fact`, FACT_STAGE, CALL_FACT_COLUMNS, ['call_id']),
    removeFacts: `delete from ${schema}.call_fact where call_id = any ($1)`,
    changedOutcomes: upsert(`${schema}.journey_outcome`, OUTCOME_STAGE, OUTCOME_COLUMNS, OUTCOME_KEY),
    removeOutcomes: `
delete from ${schema}.journey_outcome o
 using unnest($1::text[], $2::text[], $3::text[]) as k (member_id, session_id, journey_type)
 where o.member_id = k.member_id and o.session_id = k.session_id and o.journey_type = k.journey_type`,
    quarantine: `
insert into ${schema}.quarantine_record (${quarantine})
select ${quarantine} from ${QUARANTINE_STAGE} order by kafka_topic, kafka_partition, kafka_offset
on conflict do nothing`,
    settleConflicts: `delete from ${schema}.conflict_record where source = $1 and identity = any ($2)`,
    conflicts: `
insert into ${schema}.conflict_record (source, identity, revision, content_hash, content, kafka_topic, kafka_partition, kafka_offset)
select $1, identity, revision, hash, content::jsonb, topic, partition, kafka_offset
  from unnest($2::text[], $3::int[], $4::bytea[], $5::text[], $6::text[], $7::int[], $8::bigint[])
    as c (identity, revision, hash, content, topic, partition, kafka_offset)
on conflict do nothing`,
    // Under the shards' locks: a reader that registers meanwhile waits for them, and cannot find a gap.
    trim: `
delete from ${schema}.change_log c
 using (select r.shard, min(r.next_seq) as keep_from,
               (select min(x.seq) from ${schema}.change_log x where x.shard = r.shard) as first_seq
          from ops.reader r
         where r.generation = $1 and r.shard = any ($2::smallint[])
         group by r.shard) t
 where c.shard = t.shard and c.last_seq < least(t.keep_from, t.first_seq + $3)`,
  };
}

/** Rows that no longer hold. Before the others: a row may go where another was. */
export async function removeFacts(tx: Queryable, sql: WriterStatements, writes: Writes): Promise<void> {
  const { removedCalls, removedOutcomes } = writes;
  if (removedCalls.length > 0) await tx.query(sql.removeFacts, [removedCalls]);
  if (removedOutcomes.length > 0) {
    await tx.query(
      sql.removeOutcomes,
      OUTCOME_KEY.map((name) => removedOutcomes.map((key) => key[name])),
    );
  }
}

/** The staged rows take their places. */
export async function mergeChanged(tx: Queryable, sql: WriterStatements, writes: Writes): Promise<void> {
  if (writes.changedFacts.length > 0) await tx.query(sql.changedFacts, []);
  if (writes.changedOutcomes.length > 0) await tx.query(sql.changedOutcomes, []);
}

/**
 * Gives changes their places under their shards' locks, so that seq has no gaps; and the last seq of each shard. Every shard
 * of a change must be among `locked`.
 */
export function numberChanges(
  changes: readonly LoggedChange[],
  locked: readonly ShardRow[],
): { readonly numbered: NumberedChange[]; readonly last: Map<number, number> } {
  const last = new Map(locked.map(({ shard, changeSeq }) => [shard, changeSeq]));
  const next = (shard: number): number => {
    const seq = last.get(shard);
    if (seq === undefined) throw new Error(`a fact of shard ${shard} changed, which is not locked`);
    last.set(shard, seq + 1);
    return seq + 1;
  };
  return { numbered: changes.map((change) => ({ change, seq: next(change.shard) })), last };
}

export async function writeConflicts(
  tx: Queryable,
  sql: WriterStatements,
  o: { readonly source: string; readonly raised: readonly string[]; readonly rivals: readonly Rival[] },
): Promise<void> {
  if (o.raised.length > 0) await tx.query(sql.settleConflicts, [o.source, o.raised]);
  if (o.rivals.length === 0) return;
  await tx.query(sql.conflicts, [
    o.source,
    o.rivals.map((rival) => rival.identity),
    o.rivals.map((rival) => rival.revision),
    o.rivals.map((rival) => rival.hash),
    o.rivals.map((rival) => rival.content),
    o.rivals.map((rival) => rival.topic),
    o.rivals.map((rival) => rival.partition),
    o.rivals.map((rival) => rival.offset),
  ]);
}

/**
 * The shards whose version a batch raises: those in which it wrote, and those whose watermark it brings forward. Whoever
 * remembers another one, or shows it, need not look again: a replay that changes nothing disturbs nobody.
 */
export function raisedShards(
  locked: readonly ShardRow[],
  o: { readonly written: ReadonlySet<number>; readonly watermarks: ReadonlyMap<number, Watermarks> },
): Set<number> {
  const later = (mark: number | null | undefined, stored: number | null): boolean =>
    mark !== null && mark !== undefined && (stored === null || mark > stored);
  const raised = locked.filter(({ shard, wmDigital, wmCalls }) => {
    const marks = o.watermarks.get(shard);
    return o.written.has(shard) || later(marks?.digital, wmDigital) || later(marks?.calls, wmCalls);
  });
  return new Set(raised.map(({ shard }) => shard));
}

const UPDATE_SHARDS = `
update ops.shard s
   set state_version = s.state_version + 1,
       change_seq = m.change_seq,
       wm_digital = greatest(s.wm_digital, m.wm_digital),
       wm_calls = greatest(s.wm_calls, m.wm_calls)
  from unnest($2::smallint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
    as m (shard, change_seq, wm_digital, wm_calls)
 where s.generation = $1 and s.shard = m.shard`;

/** Watermarks are greatest values over all valid records, superseded ones included: a function of their set. */
export async function updateShards(
  tx: Queryable,
  generation: number,
  o: {
    readonly raised: ReadonlySet<number>;
    readonly changeSeq: ReadonlyMap<number, number>;
    readonly watermarks: ReadonlyMap<number, Watermarks>;
  },
): Promise<void> {
  const shards = [...o.raised];
  if (shards.length === 0) return;
  await tx.query(UPDATE_SHARDS, [
    generation,
    shards,
    shards.map((shard) => o.changeSeq.get(shard)),
    shards.map((shard) => instantParameter(o.watermarks.get(shard)?.digital ?? null)),
    shards.map((shard) => instantParameter(o.watermarks.get(shard)?.calls ?? null)),
  ]);
}
