import { inTransaction, type Pool } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import type { Schemas } from '../init/grants.ts';
import {
  archiveTables,
  emptyBlocks,
  emptyQuarantine,
  emptyQuarantineSince,
  leavesOf,
  type Wanted,
} from './archive-store.ts';
import {
  addCounts,
  beginErasure,
  bronzeBehind,
  type Erasure,
  giveTurn,
  heldByOthers,
  identitiesOf,
  noteStep,
  readCounts,
  type Silver,
  type Step,
  silvers,
  takeTurn,
} from './erasure-store.ts';
import { lookFor, mentions } from './look.ts';
import { type Removed, type SilverProcess, startSilver } from './silver-process.ts';

export interface ErasureOptions {
  readonly pool: Pool;
  readonly schemas: Schemas;
  readonly memberId: string;
  readonly key: string;
  readonly reason: string;
  readonly systemUser: string;
  /** How long bronze-sink and gold-aggregator may each take to come up. */
  readonly waitMs: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface ErasureReport {
  readonly erasure: number;
  /** It had been erased before: this time there was nothing left to do, or what was left is gone now. */
  readonly again: boolean;
  readonly generations: readonly number[];
  /** Rows that were emptied or removed, by table. */
  readonly counts: Readonly<Record<string, number>>;
  /** Where a person has written down something that holds the id. */
  readonly mentions: readonly string[];
}

/** Blocks of bronze that one transaction looks at: 32 MiB. */
const BLOCKS_MAX = 4_096;
/** Identities that one order to silver-joiner names. */
const IDENTITIES_MAX = 1_000;
const LOOK_MS = 250;

/**
 * Removes a member, step by step, each of which may be interrupted and done again. 1. Everybody refuses what is the member's.
 * 2. Bronze holds nothing of it: from here on nothing can bring it back. 3. Nor does silver. 4. Nor does a change log, as soon
 * as everybody has read it. 5. It is looked whether that is so.
 */
export async function eraseMember(o: ErasureOptions): Promise<ErasureReport> {
  return await o.pool.withConnection(async (turn) => {
    if (!(await takeTurn(turn))) throw new CommandError('Another erasure is running: wait until it has ended.');
    try {
      return await new Erasing(o).run();
    } finally {
      if (turn.lost === null) await giveTurn(turn);
    }
  });
}

class Erasing {
  readonly #o: ErasureOptions;

  constructor(o: ErasureOptions) {
    this.#o = o;
  }

  async run(): Promise<ErasureReport> {
    const { pool, schemas, memberId } = this.#o;
    const erasure = await this.#begin();
    const again = erasure.endedAt !== null;
    const all = await silvers(pool, schemas.silver);
    // Once silver has begun to lose what was the member's, it is no longer known which events and calls these were.
    if (erasure.archivedAt === null || again) await this.#emptyArchive(erasure, all);
    await this.#removeFromSilver(erasure, all);
    await this.#trimLogs(all);
    await this.#mustBeGone(all);
    await this.#done(erasure, 'ended');
    return {
      erasure: erasure.id,
      again,
      generations: all.map(({ generation }) => generation),
      counts: await readCounts(pool, erasure.id),
      mentions: await mentions(pool, memberId),
    };
  }

  async #begin(): Promise<Erasure> {
    const { pool, schemas, say, ...what } = this.#o;
    say('waiting for the batches under way');
    const begun = await inTransaction(pool, async (tx) =>
      beginErasure(tx, { ...what, all: await silvers(tx, schemas.silver) }),
    );
    this.#reached('begun');
    return begun;
  }

  async #emptyArchive(erasure: Erasure, all: readonly Silver[]): Promise<void> {
    const { pool, memberId, schemas } = this.#o;
    const identities = await identitiesOf(pool, all, memberId);
    const wanted = { memberId, identities };
    for (const table of archiveTables) {
      const parent = `"${schemas.bronze}".${table.table}`;
      const looked = new Set<string>();
      for (;;) {
        const leaf = (await leavesOf(pool, parent)).find(({ name }) => !looked.has(name));
        if (leaf === undefined) break;
        looked.add(leaf.name);
        for (let fromBlock = 0; fromBlock < leaf.blocks; fromBlock += BLOCKS_MAX) {
          this.#goOn(`bronze: ${leaf.name}, ${Math.round((100 * fromBlock) / leaf.blocks)} %`);
          const blocks = { fromBlock, toBlock: fromBlock + BLOCKS_MAX };
          await this.#emptyPart(erasure, all, { table, parent, leaf: leaf.name, ...blocks, wanted });
        }
      }
    }
    this.#reached('emptied');
    await this.#bronzeHasCome(all);
    for (const silver of all) await this.#forgetOthers(erasure, silver, wanted);
    await this.#done(erasure, 'archived');
  }

  async #emptyPart(erasure: Erasure, all: readonly Silver[], part: Parameters<typeof emptyBlocks>[1]): Promise<void> {
    await inTransaction(this.#o.pool, async (tx) => {
      const places = await emptyBlocks(tx, part);
      const counts: Record<string, number> = { [`bronze.${part.table.table}`]: places.topics.length };
      for (const silver of all) {
        counts[`silver_${silver.generation}.quarantine_record`] = await emptyQuarantine(tx, silver, places);
      }
      await addCounts(tx, erasure.id, counts);
    });
  }

  /** What silver had read when it was begun must lie in bronze, as it was or as a tombstone, before anything is concluded from bronze. */
  async #bronzeHasCome(all: readonly Silver[]): Promise<void> {
    const { pool, waitMs } = this.#o;
    const until = performance.now() + waitMs;
    for (;;) {
      const behind = await bronzeBehind(pool, all);
      if (behind === 0) return;
      if (performance.now() >= until) {
        throw new CommandError(
          `bronze-sink is ${behind} records behind silver-joiner. Nothing of the member is taken in any more, but not all of it is removed yet: start bronze-sink, and run the same command again.`,
        );
      }
      this.#goOn(`waiting for bronze-sink (${behind} records)`);
      await sleep(LOOK_MS);
    }
  }

  /** What a generation has of the member without its being the member's there. */
  async #forgetOthers(erasure: Erasure, silver: Silver, wanted: Wanted): Promise<void> {
    const { pool, schemas } = this.#o;
    const { generation } = silver;
    this.#goOn(`silver_${generation}: quarantine and conflicts`);
    let emptied = 0;
    for (const { table } of archiveTables) {
      const since = { parent: `"${schemas.bronze}".${table}`, begunAt: erasure.begunAt };
      emptied += await inTransaction(pool, (tx) => emptyQuarantineSince(tx, silver, since));
    }
    const others = await heldByOthers(pool, silver, wanted);
    await this.#withSilver(silver, async (process) => {
      for (const part of partsOf(others)) {
        await this.#count(erasure, silver, await process.removeIdentities(part));
      }
      const { contents } = await process.removeContents(wanted.memberId);
      await addCounts(pool, erasure.id, {
        [`silver_${generation}.quarantine_record`]: emptied,
        [`silver_${generation}.conflict_record`]: contents,
      });
    });
  }

  async #removeFromSilver(erasure: Erasure, all: readonly Silver[]): Promise<void> {
    for (const silver of all) {
      await this.#withSilver(silver, async (process) => {
        for (;;) {
          this.#goOn(`silver_${silver.generation}: events, calls, profiles and what followed from them`);
          const removed = await process.removeMember(this.#o.memberId);
          if (removed.journeys + removed.calls + removed.members === 0) return;
          await this.#count(erasure, silver, removed);
          this.#reached('removing');
        }
      });
    }
    await this.#done(erasure, 'removed');
  }

  async #count(erasure: Erasure, { generation }: Silver, removed: Removed): Promise<void> {
    await addCounts(this.#o.pool, erasure.id, {
      [`silver_${generation}.journey_event`]: removed.journeys,
      [`silver_${generation}.call`]: removed.calls,
      [`silver_${generation}.member_profile`]: removed.members,
    });
  }

  async #trimLogs(all: readonly Silver[]): Promise<void> {
    const { memberId, waitMs } = this.#o;
    const until = performance.now() + waitMs;
    for (const silver of all) {
      await this.#withSilver(silver, async (process) => {
        for (;;) {
          const { unread } = await process.trim(memberId);
          if (unread.length === 0) return;
          const who = `${unread.join(' and ')} of generation ${silver.generation}`;
          if (performance.now() >= until) {
            throw new CommandError(
              `${who} has not read the change log to its end, and until then it holds what was the member's. Everywhere else it is removed. Start what is missing (gold-aggregator), or drop the generation, and run the same command again.`,
            );
          }
          this.#goOn(`waiting for ${who}`);
          await sleep(LOOK_MS);
        }
      });
    }
    this.#reached('trimmed');
  }

  async #mustBeGone(all: readonly Silver[]): Promise<void> {
    const { pool, schemas, memberId } = this.#o;
    this.#goOn('looking whether anything is left');
    const left = Object.entries(await lookFor(pool, { schemas, all, memberId })).filter(([, rows]) => rows > 0);
    if (left.length === 0) return;
    throw new CommandError(
      `Something is left of the member (${left.map(([table, rows]) => `${rows} rows of ${table}`).join(', ')}): run the same command again.`,
    );
  }

  async #withSilver(silver: Silver, work: (process: SilverProcess) => Promise<void>): Promise<void> {
    const process = startSilver(silver.generation);
    try {
      await work(process);
    } finally {
      await process.stop();
    }
  }

  async #done({ id }: Erasure, step: Step): Promise<void> {
    await noteStep(this.#o.pool, id, step);
    this.#reached(step);
  }

  #reached(step: Step | 'begun' | 'emptied' | 'removing' | 'trimmed'): void {
    this.#goOn(`step ${step} is done`);
  }

  /** Says what is done next, unless somebody wants it to end. */
  #goOn(line: string): void {
    if (this.#o.signal.aborted) {
      throw new CommandError('Interrupted: run the same command again, and it goes on where it was.');
    }
    this.#o.say(line);
  }
}

/** At most so many at once. */
function partsOf({ journeys, calls }: Wanted['identities']): Wanted['identities'][] {
  const parts: Wanted['identities'][] = [];
  for (let at = 0; at < journeys.length; at += IDENTITIES_MAX) {
    parts.push({ journeys: journeys.slice(at, at + IDENTITIES_MAX), calls: [] });
  }
  for (let at = 0; at < calls.length; at += IDENTITIES_MAX) {
    parts.push({ journeys: [], calls: calls.slice(at, at + IDENTITIES_MAX) });
  }
  return parts;
}
