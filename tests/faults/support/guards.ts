import { readFileSync } from 'node:fs';
import type { CodeEdit } from '@leakage/testing';
import type { Edits, ScenarioName } from './guard-scenarios.ts';

/** One guard of the protocol, or several that stand behind each other, switched off while a scenario is played. */
export interface GuardOff {
  readonly guard: string;
  /** What would be broken without it. */
  readonly keeps: string;
  /** How it is switched off, in words. */
  readonly off: string;
  readonly edits?: Edits;
  /** Only in the member that the scenario starts as the second. */
  readonly secondEdits?: Edits;
  /** Run when the services have made their schemas. */
  readonly sql?: string;
  readonly scenario: ScenarioName;
  /** Played in the long form only: it shows what stands behind a guard. */
  readonly longOnly?: true;
  /** Without it the pipeline does not come to rest: that is not waited for long. */
  readonly restless?: true;
  /** Everything that must be among the differences; nothing where they stay empty. */
  readonly red: readonly RegExp[];
  /** The same in words; or what stands behind the guard, so that nothing is wrong without it. */
  readonly notice: string;
}

const consumer = 'libs/kafka/src/consumer.ts';
const writer = 'libs/kafka/src/writer.ts';
const intake = 'libs/kafka/src/intake.ts';
const positions = 'libs/kafka/src/positions.ts';
const transaction = 'libs/postgres/src/transaction.ts';
const goldStore = 'services/gold-aggregator/src/gold-store.ts';
const silverStore = 'services/silver-joiner/src/silver-store.ts';

const migration = readFileSync(new URL('../../../libs/postgres/migrations/0001_ops.sql', import.meta.url), 'utf8');

/** Makes ops.advance anew, or a function beside it, with one part of it replaced. */
function advanceWith(right: string, wrong: string, name = 'advance'): string {
  const from = migration.indexOf('create function advance(');
  const made = migration.slice(from, migration.indexOf('end $$;', from) + 'end $$;'.length);
  if (made.split(right).length !== 2) throw new Error(`ops.advance does not hold this text once: ${right}`);
  const head = `create or replace function ops.${name}(`;
  return made.replace('create function advance(', head).replace(right, () => wrong);
}

const bothConsumers = (...edits: readonly CodeEdit[]): Edits => ({ 'bronze-sink': edits, 'silver-joiner': edits });

const withoutCompare = advanceWith('and p.next_offset = m.expected and m.next_offset >= m.expected', '');
const withoutConservation = 'drop trigger position_conserves on ops.position';

const withoutLowWatermark: CodeEdit = { file: positions, right: 'return nextOffset < end ?', wrong: 'return false ?' };
const withoutFetchedOffset: CodeEdit = {
  file: intake,
  right: `return delivery.fetchedOffset === reading.fetchAt ? 'admitted' : 'misplaced';`,
  wrong: `return 'admitted';`,
};
const withoutEndsWatch: CodeEdit = {
  file: 'libs/kafka/src/ends-watch.ts',
  right: 'if (fetchAt < low || (fetchedBefore',
  wrong: 'if (false && (fetchedBefore',
};
const keptBuffers: readonly CodeEdit[] = [
  {
    file: intake,
    right: 'for (const lane of this.#lanes.values()) lane.reading = null;',
    wrong: 'for (const lane of this.#lanes.values()) { lane.kept = lane.reading?.buffer; lane.reading = null; }',
  },
  { file: intake, right: 'buffer: new PartitionBuffer(', wrong: 'buffer: lane.kept ?? new PartitionBuffer(' },
];
const keptAhead: readonly CodeEdit[] = [
  { file: writer, right: 'return batch.drop !== this.#o.intake.drop;', wrong: 'return false;' },
  { file: writer, right: 'ahead = null;\n        await this.#o.reposition();', wrong: 'await this.#o.reposition();' },
  {
    file: writer,
    right: 'await this.#recover(outcome);\n    return null;',
    wrong: 'await this.#recover(outcome);\n    return ahead;',
  },
];
const withoutAdmission: CodeEdit = {
  file: intake,
  right: `return 'closed';\n    return delivery.fetchedOffset === reading.fetchAt ? 'admitted' : 'misplaced';`,
  wrong: `return 'admitted'; return 'admitted';`,
};
const withoutPause: CodeEdit = {
  file: consumer,
  right: 'if (parts.length > 0) consumer.pause(parts.map(',
  wrong: 'if (false) consumer.pause(parts.map(',
};
const withoutUnlockedShard: CodeEdit = {
  file: silverStore,
  right: 'if (missing.length > 0) throw new UnlockedShardError(missing);',
  wrong: '',
};
const withoutLockedLog: CodeEdit = {
  file: 'services/silver-joiner/src/silver-writer.ts',
  right: 'if (seq === undefined) throw new Error(`a fact',
  wrong: 'if (seq === undefined) return 0; if (seq === undefined) throw new Error(`a fact',
};
const withoutFoldLock: CodeEdit = { file: goldStore, right: 'return rows[0]?.locked === true;', wrong: 'return true;' };
const withoutReaderCompare: CodeEdit = { file: goldStore, right: ' and r.next_seq = m.from_seq`', wrong: '`' };

/** What a process keeps between batches, profiles and buffers, are the last three. */
export const guards: readonly GuardOff[] = [
  {
    guard: 'the compare-and-set of positions',
    keeps: 'laws 1 and 3: a batch is applied once, whoever applies it',
    off: '`ops.advance` moves without comparing',
    sql: withoutCompare,
    scenario: 'zombie',
    red: [/said: .*bronze-sink.*does not add up/, /said: .*silver-joiner.*does not add up/],
    notice: 'conduct: LK002 has to act, in bronze-sink and in silver-joiner',
  },
  {
    guard: 'the compare-and-set of positions, and conservation (LK002) behind it',
    keeps: 'laws 1 and 3, in the second line',
    off: '`ops.advance` moves without comparing, and the trigger `position_conserves` is dropped',
    sql: `${withoutCompare}; ${withoutConservation}`,
    scenario: 'zombie',
    red: [/history: .* is in bronze 2 times/, /conservation: silver_1/],
    notice: 'history: records are in bronze twice; conservation: outcomes exceed offsets',
  },
  {
    guard: 'no answer to COMMIT is not taken for success',
    keeps: 'law 1: what memory believes is what Postgres has',
    off: 'a COMMIT without an answer counts as applied',
    edits: bothConsumers({ file: transaction, right: 'throw new CommitUnknownError(true, error);', wrong: 'return;' }),
    scenario: 'lost answer',
    restless: true,
    red: [/not drained/],
    notice: 'it never comes to rest: the last batch is nowhere',
  },
  {
    guard: 'the answer to COMMIT is read',
    keeps: 'law 1: ROLLBACK is no success',
    off: 'whatever COMMIT is answered with counts as applied',
    edits: bothConsumers({ file: transaction, right: `if (answer !== 'COMMIT') throw`, wrong: 'if (false) throw' }),
    scenario: 'swallowed error',
    restless: true,
    red: [/not drained/],
    notice: 'it never comes to rest: the only batch is nowhere',
  },
  {
    guard: 'a position below the log stops the process',
    keeps: 'law 3: what Kafka has removed is not skipped',
    off: 'the low end of the log is not compared',
    edits: bothConsumers(withoutLowWatermark),
    scenario: 'log lost',
    longOnly: true,
    red: [/nobody stopped/, /deliveries that do not begin at the position/],
    notice: 'conduct: another sentence; the offset of the delivery does not fit, 21 times',
  },
  {
    guard: 'a position below the log, the offset of every delivery, the watch on the ends',
    keeps: 'law 3, with nothing behind it',
    off: 'none of the three is compared',
    edits: bothConsumers(withoutLowWatermark, withoutFetchedOffset, withoutEndsWatch),
    scenario: 'log lost',
    red: [/nobody stopped/, /history: .* is in bronze 0 times/],
    notice: 'history: records are not in bronze; nobody has stopped',
  },
  {
    guard: 'every delivery begins at the expected offset, and the watch on the ends, which may be the first to see it',
    keeps: 'law 3: what the client skips by itself is noticed',
    off: 'any delivery is taken, and a position that the log has left is not noticed',
    edits: bothConsumers(withoutFetchedOffset, withoutEndsWatch),
    scenario: 'log lost while reading',
    red: [/nobody stopped/, /history: .* is in bronze 0 times/],
    notice: 'history: records are not in bronze; nobody has stopped',
  },
  {
    guard: 'the fingerprint of the last record read',
    keeps: 'law 3: a position belongs to one log',
    off: 'the record below the position is not compared',
    edits: bothConsumers({ file: positions, right: 'if (!same || (second', wrong: 'if (false && (second' }),
    scenario: 'log replaced',
    red: [/nobody stopped/, /history: .* is in bronze 0 times/],
    notice: 'history: records are not in bronze; nobody has stopped',
  },
  {
    guard: 'partitions are paused until their position is read',
    keeps: 'law 2: offsets that Kafka keeps decide nothing',
    off: 'what was assigned is fetched at once, from the offsets that Kafka keeps',
    edits: bothConsumers(withoutPause),
    scenario: 'offsets set by hand',
    red: [],
    notice:
      'a partition whose position is not read admits nothing, and kafkajs discards what was fetched before a seek',
  },
  {
    guard: 'partitions are paused, and admit nothing, until their position is read',
    keeps: 'laws 2 and 3',
    off: 'what was assigned is fetched at once, and any delivery is taken',
    edits: bothConsumers(withoutPause, withoutAdmission),
    scenario: 'offsets set by hand',
    longOnly: true,
    restless: true,
    red: [/bronze-sink ended with code 1: .*appended to a closed partition/],
    notice: 'conduct: the process ends, a closed partition takes no delivery',
  },
  {
    guard: 'shards are locked in order',
    keeps: 'two joiners wait for each other and never deadlock',
    off: 'one of two joiners locks in descending order',
    secondEdits: {
      'silver-joiner': [
        {
          file: 'libs/postgres/src/generations.ts',
          right: ' order by shard\n     for update',
          wrong: ' order by shard desc\n     for update',
        },
      ],
    },
    scenario: 'opposite shards',
    red: [/deadlock detected/],
    notice: 'conduct: Postgres has counted deadlocks',
  },
  {
    guard: 'positions are locked in order',
    keeps: 'a zombie and its successor wait for each other and never deadlock',
    off: 'the successor locks in descending order',
    sql: advanceWith(
      'order by p.topic collate "C", p.partition',
      'order by p.topic collate "C" desc, p.partition desc',
      'advance_backwards',
    ),
    secondEdits: {
      'bronze-sink': [
        {
          file: 'libs/postgres/src/positions.ts',
          right: 'select ops.advance(',
          wrong: 'select ops.advance_backwards(',
        },
      ],
    },
    scenario: 'opposite positions',
    red: [/deadlock detected/],
    notice: 'conduct: Postgres has counted deadlocks',
  },
  {
    guard: 'rows are inserted and merged in the order of their keys',
    keeps: 'two joiners that meet on calls wait for each other and never deadlock',
    off: 'rows are inserted and merged in the order of their arrival',
    edits: {
      'silver-joiner': [
        {
          file: 'services/silver-joiner/src/merge.ts',
          right: ' order by \u0024{list(keys)}\non conflict',
          wrong: '\non conflict',
        },
        {
          file: 'services/silver-joiner/src/merge.ts',
          right: 'not in (select unnest($1::text[])) order by \u0024{list(keys)}`',
          wrong: 'not in (select unnest($1::text[]))`',
        },
      ],
    },
    scenario: 'moved calls',
    red: [/deadlock detected/],
    notice: 'conduct: Postgres has counted deadlocks',
  },
  {
    guard: 'a batch is run again with the shard that a correction takes a row from',
    keeps: 'laws 1 and 5: everything about a member changes under the lock of its shard',
    off: 'it is not noticed that the shard is not locked',
    edits: { 'silver-joiner': [withoutUnlockedShard] },
    scenario: 'call moved away',
    restless: true,
    red: [/said: .*which is not locked/],
    notice: 'conduct: the change log refuses a shard that is not locked',
  },
  {
    guard: 'the same, and that no change is logged for a shard that is not locked',
    keeps: 'law 7: the log of a shard has its lock',
    off: 'neither is noticed',
    edits: { 'silver-joiner': [withoutUnlockedShard, withoutLockedLog] },
    scenario: 'call moved away',
    longOnly: true,
    red: [/oracle: .*call_cube/],
    notice: 'oracle: a call is counted twice in gold',
  },
  {
    guard: 'a failed batch empties the buffers',
    keeps: 'laws 1 and 3: after a failure only the positions know what was applied',
    off: 'buffers outlive a drop',
    edits: bothConsumers(...keptBuffers),
    scenario: 'failures under load',
    restless: true,
    red: [/do not continue a buffer/],
    notice: 'conduct: the process ends, offsets do not continue the buffer',
  },
  {
    guard: 'a delivery that waited for room is void after a drop',
    keeps: 'law 3: nothing delivered before a drop is used after it',
    off: 'the drop number is not compared',
    edits: bothConsumers({
      file: 'libs/kafka/src/handlers.ts',
      right: ' || o.intake.drop !== drop;',
      wrong: ';',
    }),
    scenario: 'failure without room',
    red: [/appended to a closed partition/],
    notice: 'conduct: the process ends, a closed partition takes no delivery',
  },
  {
    guard: 'a batch prepared ahead is void after a failure',
    keeps: 'law 1: the order of batches',
    off: 'it is applied all the same',
    edits: bothConsumers(...keptAhead),
    scenario: 'failures under load',
    red: [],
    notice: 'the compare-and-set refuses it',
  },
  {
    guard: 'a batch prepared ahead is void after a failure, and the compare-and-set behind it',
    keeps: 'laws 1 and 3',
    off: 'it is applied all the same, and `ops.advance` moves without comparing',
    edits: bothConsumers(...keptAhead),
    sql: withoutCompare,
    scenario: 'failures under load',
    longOnly: true,
    red: [/does not add up/],
    notice: 'conduct: LK002 has to act',
  },
  {
    guard: 'one aggregator folds at a time',
    keeps: 'two folds never add to the same cells',
    off: 'the lock of the fold is not asked for its answer',
    edits: { 'gold-aggregator': [withoutFoldLock] },
    scenario: 'stopped behind its cells',
    red: [/gold-aggregator ended with code 1/],
    notice: 'conduct: the process ends, two folds have made the same cell',
  },
  {
    guard: 'one aggregator folds at a time',
    keeps: 'law 7',
    off: 'the lock of the fold is not asked for its answer',
    edits: { 'gold-aggregator': [withoutFoldLock] },
    scenario: 'stopped before its cells',
    red: [],
    notice: 'the compare-and-set of the reader refuses the second fold',
  },
  {
    guard: 'one aggregator folds at a time, and the compare-and-set of the reader behind it',
    keeps: 'law 7: a change is folded once',
    off: 'neither is looked at',
    edits: { 'gold-aggregator': [withoutFoldLock, withoutReaderCompare] },
    scenario: 'stopped before its cells',
    longOnly: true,
    red: [/oracle: .*cube/],
    notice: 'oracle: cells of gold are too large',
  },
  {
    guard: 'the change log has no gap',
    keeps: 'law 7: what was trimmed or lost is counted anew',
    off: 'what is missing is not noticed',
    edits: {
      'gold-aggregator': [
        { file: goldStore, right: 'if (row.seq !== next) return null;', wrong: '' },
        { file: goldStore, right: 'if (next < toSeq) return null;', wrong: 'next = Math.max(next, toSeq);' },
      ],
    },
    scenario: 'change log cut',
    red: [/oracle: .*cube|impossible count/],
    notice: 'oracle: cells of gold are wrong',
  },
  {
    guard: 'bronze: buffers of a batch are used again only after its answer',
    keeps: 'laws 3 and 4: the rows sent are those of the batch',
    off: 'all batches share one set of buffers',
    edits: {
      'bronze-sink': [
        {
          file: 'services/bronze-sink/src/bronze-sink.ts',
          right: 'const rows = this.#idle.pop() ?? newRows(reading.readers, log);',
          wrong: 'const rows = (this.#idle[0] ??= newRows(reading.readers, log));',
        },
      ],
    },
    scenario: 'next batch prepared',
    red: [/history: .* is in bronze 0 times|bronze-sink ended .* in COPY data/],
    notice: 'history: records are not in bronze, others twice; or Postgres cannot read the COPY',
  },
  {
    guard: 'what is remembered of a shard is forgotten when somebody else has written to it',
    keeps: 'law 5: facts do not depend on who decides them',
    off: 'it is kept whatever version the shard has',
    edits: {
      'silver-joiner': [
        {
          file: 'services/silver-joiner/src/shard-memory.ts',
          right: 'known !== undefined && known.version === row.stateVersion',
          wrong: 'known !== undefined',
        },
      ],
    },
    scenario: 'profile changed elsewhere',
    red: [/oracle: silver: digital_call_leakage facts/],
    notice: 'oracle: calls have the category of the profile before',
  },
  {
    guard: 'silver: buffers of a batch are used again only after its answer',
    keeps: 'law 3: the rows sent are those of the batch',
    off: 'all batches share one set of buffers',
    edits: {
      'silver-joiner': [
        {
          file: 'services/silver-joiner/src/joiner.ts',
          right: 'this.#encoders.pop() ?? new BatchEncoder()',
          wrong: '(this.#encoders[0] ??= new BatchEncoder())',
        },
      ],
    },
    scenario: 'next batch prepared',
    red: [/oracle: quarantine|silver-joiner ended .* in COPY data/],
    notice: 'oracle: records are missing in the quarantine; or Postgres cannot read the COPY',
  },
];
