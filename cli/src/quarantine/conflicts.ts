import type { Queryable } from '@leakage/postgres';
import { contracts, type Source } from '@leakage/schemas';
import { masked, maskedId } from './mask.ts';
import { type Position, positionText } from './position.ts';

/** One of several contents that claim the same identity and revision. */
export interface ConflictVersion {
  readonly position: string;
  /** Its content is the one that silver has. */
  readonly counts: boolean;
  readonly content: Readonly<Record<string, unknown>>;
}

export interface Conflict {
  readonly source: Source;
  /** An event id, a call id, or a member with the instant from which a profile is valid. */
  readonly identity: string;
  readonly revision: number;
  readonly versions: readonly ConflictVersion[];
}

export interface ConflictRow extends Position {
  readonly source: Source;
  readonly identity: string;
  readonly revision: number;
  readonly content: readonly (string | null)[];
}

export async function countConflicts(db: Queryable, schema: string): Promise<number> {
  const { rows } = await db.query<{ identities: number }>(
    `select count(*) as identities from (select distinct source, identity from ${schema}.conflicts) c`,
  );
  return rows[0]?.identities ?? 0;
}

/** All versions of so many identities. */
export async function readConflicts(db: Queryable, schema: string, identities: number): Promise<ConflictRow[]> {
  const { rows } = await db.query<StoredConflict>(
    `select source, identity, revision, content, kafka_topic as topic, kafka_partition as partition,
            kafka_offset as "offset"
       from ${schema}.conflicts
      where (source, identity) in (select source, identity from ${schema}.conflicts
                                    group by source, identity order by source, identity limit $1)
      order by source, identity, kafka_partition, kafka_offset`,
    [identities],
  );
  return rows.map((row) => ({ ...row, content: contentFields(row.source).map((field) => storedValue(row, field)) }));
}

/** Silver keeps a content by the names of its columns. */
type StoredConflict = Omit<ConflictRow, 'content'> & { readonly content: Readonly<Record<string, string | null>> };

function storedValue({ content }: StoredConflict, field: string): string | null {
  return content[field === 'sentiment_score' ? 'sentiment_e4' : field] ?? null;
}

/** Rows of one identity after the other become conflicts; `shown`: with the people in them. */
export function conflictsOf(rows: readonly ConflictRow[], shown: boolean): Conflict[] {
  const groups = Map.groupBy(rows, ({ source, identity }) => `${source} ${identity}`);
  return [...groups.values()].flatMap((versions) => {
    const [first] = versions;
    if (first === undefined) return [];
    const greatest = versions.reduce((a, b) => (compareContent(a.content, b.content) >= 0 ? a : b));
    const { source, revision } = first;
    const conflict: Conflict = {
      source,
      identity: identityText(first, shown),
      revision,
      versions: versions.map((one) => ({
        position: positionText(one),
        counts: one === greatest,
        content: contentOf(one, shown),
      })),
    };
    return [conflict];
  });
}

/** What silver compares, in its order: the contract's fields without those that say which copy it is. */
export function contentFields(source: Source): string[] {
  return contracts[source].fields
    .map(({ name }) => name)
    .filter((name) => name !== 'revision' && name !== 'emitted_at');
}

/** Field by field as bytes, null greatest: of contradicting contents the greatest counts. */
export function compareContent(a: readonly (string | null)[], b: readonly (string | null)[]): number {
  for (let i = 0; i < a.length; i += 1) {
    const [x = null, y = null] = [a[i], b[i]];
    if (x === y) continue;
    if (x === null) return 1;
    if (y === null) return -1;
    return Buffer.compare(Buffer.from(x), Buffer.from(y));
  }
  return 0;
}

function contentOf({ source, content }: ConflictRow, shown: boolean): Record<string, unknown> {
  const entries = contentFields(source).map((field, nr): [string, unknown] => {
    const value = sentValue(source, field, content[nr] ?? null);
    return [field, shown ? value : masked(source, field, value)];
  });
  return Object.fromEntries(entries);
}

/** Silver compares instants as epoch milliseconds and sentiment in ten-thousandths, all as text. */
function sentValue(source: Source, field: string, text: string | null): unknown {
  if (text === null) return null;
  if (field === 'sentiment_score') return Number(text) / 10_000;
  const isInstant = contracts[source].fields.some(({ name, kind }) => name === field && kind === 'instant');
  return isInstant ? new Date(Number(text)).toISOString() : text;
}

/** The member of a profile stands before a separator that nobody can read. */
function identityText({ source, identity }: ConflictRow, shown: boolean): string {
  if (source !== 'members') return identity;
  const [member = '', validFrom = ''] = identity.split('\u001f');
  const since = validFrom === '' ? 'since ever' : `from ${new Date(Number(validFrom)).toISOString()}`;
  return `${shown ? member : maskedId(member)} ${since}`;
}
