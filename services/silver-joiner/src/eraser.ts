import { lockShards, type Session, type ShardRow, type SinkTx } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { decide } from './decide.ts';
import type { MergedChanges } from './domain/member-changes.ts';
import type { RuleBook } from './domain/rules.ts';
import type { Call, Change, JourneyEvent, Profile } from './domain/types.ts';
import { type EraserStatements, eraserStatements, forgetContents, readShards, trimRead } from './eraser-store.ts';
import { FactCopies } from './fact-copies.ts';
import { LogReaders } from './log-readers.ts';
import { readerStatements, silverReader } from './silver-reader.ts';
import {
  mergeChanged,
  numberChanges,
  removeFacts,
  updateShards,
  writeConflicts,
  writerStatements,
} from './silver-writer.ts';
import { CALLS, JOURNEYS, MEMBERS, type SourceTable, type Version } from './sources.ts';

/** Versions that one transaction removes. */
const REMOVED_MAX = 5_000;

export interface EraserOptions {
  readonly session: Session;
  /** The generation's schema, e.g. silver_1. */
  readonly schema: string;
  readonly generation: number;
  readonly book: RuleBook;
}

/** What one transaction has removed. */
export interface Removed {
  readonly journeys: number;
  readonly calls: number;
  readonly members: number;
  /** Changes that were appended to the change log. */
  readonly changes: number;
}

/** Events and calls by their ids. */
export interface Identities {
  readonly journeys: readonly string[];
  readonly calls: readonly string[];
}

type Column = 'id' | 'member';

/**
 * Removes versions from a generation, and what followed from them, by the same rule and into the same change log as a batch: for
 * whoever reads the log, a removal is a change like any other. The policy refuses these records by then, so nothing comes back.
 */
export class Eraser {
  readonly #o: EraserOptions;
  readonly #sql: EraserStatements;
  readonly #read;
  readonly #write;
  readonly #copies: FactCopies;
  readonly #readers: LogReaders;

  constructor(o: EraserOptions) {
    const schema = `"${o.schema}"`;
    this.#o = o;
    this.#sql = eraserStatements(schema);
    this.#read = readerStatements(schema);
    this.#write = writerStatements(schema);
    this.#copies = new FactCopies(schema);
    this.#readers = new LogReaders(o.generation);
  }

  /** One part of what there is of a member; nothing when there is nothing left. Calls first: what is charged to a journey goes before it. */
  async removeMember(memberId: string): Promise<Removed> {
    const { session, book } = this.#o;
    return await session.transaction(async (tx) => {
      const locked = await this.#lock(tx, [book.shardOf(memberId)]);
      const calls = await this.#take(tx, CALLS, { by: 'member', values: [memberId] });
      const room = calls.length < REMOVED_MAX;
      const journeys = room ? await this.#take(tx, JOURNEYS, { by: 'member', values: [memberId] }) : [];
      const last = room && journeys.length < REMOVED_MAX;
      const profiles = last ? await this.#take(tx, MEMBERS, { by: 'member', values: [memberId] }) : [];
      return await this.#follow(tx, locked, { calls, journeys, profiles });
    });
  }

  /** Events and calls whoever has them, at most REMOVED_MAX. Which shards they lie in is known when they are found: all are locked. */
  async removeIdentities({ journeys, calls }: Identities): Promise<Removed> {
    if (journeys.length + calls.length > REMOVED_MAX) throw new RangeError(`more than ${REMOVED_MAX} at once`);
    return await this.#o.session.transaction(async (tx) => {
      const locked = await this.#lockAll(tx);
      return await this.#follow(tx, locked, {
        calls: await this.#take(tx, CALLS, { by: 'id', values: calls }),
        journeys: await this.#take(tx, JOURNEYS, { by: 'id', values: journeys }),
        profiles: [],
      });
    });
  }

  /** Contents of a member that were in conflict with those of others; a content that is left alone is in conflict with nothing. */
  async removeContents(memberId: string): Promise<number> {
    return await this.#o.session.transaction(async (tx) => {
      await this.#lockAll(tx);
      return await forgetContents(tx, this.#sql, memberId);
    });
  }

  /** Removes what every reader of the log has read of a member's shard; the readers that have not read all of it. */
  async trim(memberId: string): Promise<string[]> {
    const { session, book, generation } = this.#o;
    const shard = book.shardOf(memberId);
    return await session.transaction(async (tx) => {
      await this.#lock(tx, [shard]);
      return await trimRead(tx, this.#sql, { generation, shard });
    });
  }

  async #lockAll(tx: SinkTx): Promise<ShardRow[]> {
    return await this.#lock(tx, await readShards(tx, this.#o.generation));
  }

  #lock(tx: SinkTx, shards: readonly number[]): Promise<ShardRow[]> {
    return lockShards(tx, this.#o.generation, shards);
  }

  async #take<R extends Version, K extends keyof R & string>(
    tx: SinkTx,
    table: SourceTable<R, K>,
    { by, values }: { readonly by: Column; readonly values: readonly string[] },
  ): Promise<Change<R>[]> {
    if (values.length === 0) return [];
    const { rows } = await tx.query<{ row: Readonly<Record<string, unknown>> }>(this.#sql.take[table.source][by], [
      values,
      REMOVED_MAX,
    ]);
    return rows.map(({ row }) => ({ before: table.parse(row), after: null }));
  }

  /** What holds without these versions, the log of it, and new versions of the shards: what is remembered of them is void. */
  async #follow(tx: SinkTx, locked: readonly ShardRow[], removed: MergedChanges): Promise<Removed> {
    const { generation, book } = this.#o;
    const { writes } = await decide(silverReader(tx, this.#read), removed, book);
    await removeFacts(tx, this.#write, writes);
    const { numbered, last: changeSeq } = numberChanges(writes.changes, locked);
    const read = await this.#readers.among(tx, new Set(writes.changes.map(({ shard }) => shard)));
    const copies = this.#copies.encode(
      writes,
      numbered.filter(({ change }) => read.has(change.shard)),
    );
    if (copies.length > 0) await tx.copyAll(copies);
    await mergeChanged(tx, this.#write, writes);
    await this.#settleConflicts(tx, 'journeys', identities(JOURNEYS, removed.journeys));
    await this.#settleConflicts(tx, 'calls', identities(CALLS, removed.calls));
    await this.#settleConflicts(tx, 'members', identities(MEMBERS, removed.profiles));
    const versions: readonly Change<JourneyEvent | Call | Profile>[] = [
      ...removed.journeys,
      ...removed.calls,
      ...removed.profiles,
    ];
    const raised = new Set(writes.changes.map(({ shard }) => shard));
    for (const { before } of versions) if (before !== null) raised.add(book.shardOf(before.member_id));
    await updateShards(tx, generation, { raised, changeSeq, watermarks: new Map() });
    return {
      journeys: removed.journeys.length,
      calls: removed.calls.length,
      members: removed.profiles.length,
      changes: writes.changes.length,
    };
  }

  async #settleConflicts(tx: SinkTx, source: Source, raised: readonly string[]): Promise<void> {
    await writeConflicts(tx, this.#write, { source, raised, rivals: [] });
  }
}

function identities<R extends Version>(table: SourceTable<R>, changes: readonly Change<R>[]): string[] {
  return changes.flatMap(({ before }) => (before === null ? [] : [table.identity(before)]));
}
