import type { Queryable } from '@leakage/postgres';
import type { Identities, Silver } from './erasure-store.ts';

/** A table of bronze, and by what column its records are known besides their member, if by any. */
export interface ArchiveTable {
  readonly table: string;
  readonly id: 'event_id' | 'call_id' | 'member_id';
}

export const archiveTables: readonly ArchiveTable[] = [
  { table: 'digital_journeys_raw', id: 'event_id' },
  { table: 'call_logs_raw', id: 'call_id' },
  { table: 'member_profiles_raw', id: 'member_id' },
];

/** What stays of a record: where it was in Kafka, and when it came. */
const KEPT = [
  'kafka_topic',
  'kafka_partition',
  'kafka_offset',
  'kafka_timestamp',
  'ingestion_timestamp',
  'decode_error',
];

/** Whom and what it is about. */
export interface Wanted {
  readonly memberId: string;
  readonly identities: Identities;
}

/** What a record says of its member, and where it says nothing, its key: as the services have it. */
const isWanted = ({ id }: ArchiveTable): string =>
  `(r.member_id = $1 or r.${id} = any ($2::text[]) or (coalesce(r.member_id, '') = '' and r.kafka_key = $3::bytea))`;

function parameters({ id }: ArchiveTable, { memberId, identities }: Wanted): unknown[] {
  const ids = { event_id: identities.journeys, call_id: identities.calls, member_id: [memberId] };
  return [memberId, ids[id], Buffer.from(memberId)];
}

/** A part of a table, by blocks of 8 KiB. */
export interface Leaf {
  /** Quoted, with its schema. */
  readonly name: string;
  readonly blocks: number;
}

/** The default partition first: rows that are moved out of it meanwhile come into one that is listed when this is asked again. */
export async function leavesOf(db: Queryable, table: string): Promise<Leaf[]> {
  const { rows } = await db.query<Leaf>(
    `select p.relid::regclass::text as name, (pg_relation_size(p.relid) / current_setting('block_size')::int)::bigint as blocks
       from pg_partition_tree($1::regclass) p
       join pg_class c on c.oid = p.relid
      where p.isleaf
      order by pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT', c.relname`,
    [table],
  );
  return rows;
}

async function emptiedColumns(db: Queryable, table: string): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select attname::text as name from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attname <> all ($2)`,
    [table, KEPT],
  );
  return rows.map(({ name }) => name);
}

/** Records by their place in Kafka. */
export interface Places {
  readonly topics: readonly string[];
  readonly partitions: readonly number[];
  readonly offsets: readonly number[];
}

/**
 * Within these blocks, whatever is wanted becomes a tombstone, which says only that a record was there; and keys that name the
 * member beside a value that does not are emptied.
 */
export async function emptyBlocks(
  tx: Queryable,
  o: {
    readonly table: ArchiveTable;
    readonly parent: string;
    readonly leaf: string;
    readonly fromBlock: number;
    readonly toBlock: number;
    readonly wanted: Wanted;
  },
): Promise<Places> {
  const { table, leaf, wanted } = o;
  const sets = (await emptiedColumns(tx, o.parent)).map((name) => `"${name}" = null`);
  const within = 'r.ctid >= $4::tid and r.ctid < $5::tid';
  const values = [...parameters(table, wanted), `(${o.fromBlock},0)`, `(${o.toBlock},0)`];
  const { rows } = await tx.query<{ topic: string; partition: number; offset: number }>(
    `update ${leaf} r set ${sets.join(', ')}, decode_error = 'erased'
      where ${within} and ${isWanted(table)}
     returning kafka_topic as topic, kafka_partition as partition, kafka_offset as "offset"`,
    values,
  );
  await tx.query(
    `update ${leaf} r set kafka_key = '' where r.ctid >= $2::tid and r.ctid < $3::tid and r.kafka_key = $1::bytea`,
    values.slice(2),
  );
  return {
    topics: rows.map((row) => row.topic),
    partitions: rows.map((row) => row.partition),
    offsets: rows.map((row) => row.offset),
  };
}

/** How many records of a table are wanted, or name the member as their key. */
export async function countWanted(
  db: Queryable,
  { table, parent, wanted }: { readonly table: ArchiveTable; readonly parent: string; readonly wanted: Wanted },
): Promise<number> {
  const { rows } = await db.query<{ found: number }>(
    `select count(*) as found from ${parent} r where ${isWanted(table)} or r.kafka_key = $3::bytea`,
    parameters(table, wanted),
  );
  return rows[0]?.found ?? 0;
}

/** Empties what the quarantine of a generation has of these records; why they were refused stays. */
export async function emptyQuarantine(tx: Queryable, { schema }: Silver, places: Places): Promise<number> {
  if (places.topics.length === 0) return 0;
  const { rowCount } = await tx.query(
    `update ${schema}.quarantine_record q set payload = null, record_id = null
       from unnest($1::text[], $2::int[], $3::bigint[]) as p (topic, partition, "offset")
      where q.kafka_topic = p.topic and q.kafka_partition = p.partition and q.kafka_offset = p.offset
        and (q.payload is not null or q.record_id is not null)`,
    [places.topics, places.partitions, places.offsets],
  );
  return rowCount;
}

/** The same for what bronze itself has stored as a tombstone since: silver may have read it before it was to be refused. */
export async function emptyQuarantineSince(
  tx: Queryable,
  { schema }: Silver,
  { parent, begunAt }: { readonly parent: string; readonly begunAt: number },
): Promise<number> {
  const { rowCount } = await tx.query(
    `update ${schema}.quarantine_record q set payload = null, record_id = null
       from ${parent} r
      where r.ingestion_timestamp >= $1::timestamptz and r.decode_error = 'erased'
        and q.kafka_topic = r.kafka_topic and q.kafka_partition = r.kafka_partition and q.kafka_offset = r.kafka_offset
        and (q.payload is not null or q.record_id is not null)`,
    [new Date(begunAt).toISOString()],
  );
  return rowCount;
}
