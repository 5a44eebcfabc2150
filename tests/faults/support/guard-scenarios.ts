import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaClient, ensureTopics, type OutgoingRecord, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { contracts, type Source, shardOf, topicName, topicTable } from '@leakage/schemas';
import { type CodeEdit, call, eventually, profile, type SupervisedProcess } from '@leakage/testing';
import kafkajs, { type Admin } from 'kafkajs';
import type { FaultPipeline, Stage } from './fault-pipeline.ts';

export type Edits = Partial<Record<Stage, readonly CodeEdit[]>>;

/** Something bad that happens to the pipeline, the same with a guard on and with it off. */
export interface GuardScenario {
  readonly what: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What the scenario itself needs of the code, whether the guard is on or off. */
  readonly edits?: Edits;
  /** Gives in words all that is wrong afterwards. */
  play(pipeline: FaultPipeline, o: ScenarioOptions): Promise<string[]>;
}

export interface ScenarioOptions {
  /** Starts another member of a stage. */
  readonly second: (stage: Stage) => SupervisedProcess;
  /** How long it may take until everything is at rest: long for what heals, short for what does not. */
  readonly withinMs: number;
}

const log = createLogger({ service: 'tests', level: 'silent' });
/** Records that nothing decodes, all of one size. */
function garbage(p: FaultPipeline, count: number, o: { source?: Source; partition?: number } = {}): OutgoingRecord[] {
  const topic = topicName(p.pipeline.prefix, o.source ?? 'calls');
  return Array.from({ length: count }, (_, nr) => ({
    topic,
    key: null,
    value: Buffer.from(`no record ${String(nr).padStart(6, '0')}`),
    partition: o.partition ?? nr % 12,
  }));
}

/** How often a member was given partitions. */
function assignments(member: SupervisedProcess): number {
  return member.output().split('partitions assigned').length - 1;
}

/** A stopped member goes on; returns when it has found out that it has lost its partitions, after whatever it did before. */
async function wake(member: SupervisedProcess): Promise<void> {
  const [before, lives] = [assignments(member), member.lives()];
  member.resume();
  await eventually(() => assignments(member) > before || member.lives() > lives, { what: 'the zombie to join again' });
}

async function waitingForLocks(p: FaultPipeline, stage: Stage, atLeast: number): Promise<boolean> {
  const { rows } = await p.pipeline.pool.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity
      where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'`,
    [stage],
  );
  return (rows[0]?.count ?? 0) >= atLeast;
}

/** Runs `work` while a transaction of the test holds what `statement` locks; rolls it back afterwards. */
async function holding(p: FaultPipeline, statement: string, work: () => Promise<unknown>): Promise<void> {
  await p.pipeline.pool.withConnection(async (holder) => {
    await holder.query('begin');
    await holder.query(statement);
    try {
      await work();
    } finally {
      await holder.query('rollback');
    }
  });
}

/** A deadlock is counted when the connection that met it has something to do a second later. */
async function countDeadlocks(p: FaultPipeline): Promise<void> {
  await p.pipeline.drained(30_000);
  await sleep(1_100);
  await p.history.publish(garbage(p, 36));
}

async function withAdmin<T>(p: FaultPipeline, work: (admin: Admin) => Promise<T>): Promise<T> {
  const kafka = new kafkajs.Kafka({
    brokers: [...p.pipeline.brokers],
    clientId: 'tests',
    logLevel: kafkajs.logLevel.NOTHING,
  });
  const admin = kafka.admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

/** Removes all but the last record of a partition from the log. */
async function removeAllButOne(p: FaultPipeline, topic: string, partition: number): Promise<void> {
  await withAdmin(p, async (admin) => {
    const ends = await admin.fetchTopicOffsets(topic);
    const high = Number(ends.find((end) => end.partition === partition)?.high);
    await eventually(() => silverHasRead(p, { topic, partition, high }), {
      what: 'silver to have read what is removed',
    });
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(high - 1) }] });
  });
}

async function silverHasRead(p: FaultPipeline, end: { topic: string; partition: number; high: number }) {
  const { rowCount } = await p.pipeline.pool.query(
    `select from ops.position where pipeline = 'silver_1' and topic = $1 and partition = $2 and next_offset >= $3`,
    [end.topic, end.partition, end.high],
  );
  return rowCount === 1;
}

/** Nothing is wrong exactly if somebody stops with this sentence; otherwise what happened instead. */
async function stopsSaying(p: FaultPipeline, sentence: RegExp): Promise<string[]> {
  const ended = (): boolean => p.ends.some(({ code }) => code !== null);
  await eventually(async () => ended() || p.pipeline.drained(200).then(() => true), {
    withinMs: 30_000,
    what: 'a process to stop, or everything to be read',
  });
  if (p.ends.some(({ lastWords }) => sentence.test(lastWords))) return [];
  const instead = ended() ? p.ends.map(({ service, lastWords }) => `${service} ended: ${lastWords}`) : [];
  return [`nobody stopped saying ${sentence}`, ...instead, ...(await p.differences({ withinMs: 5_000 }))];
}

const consumers = ['bronze-sink', 'silver-joiner'] as const;

const largeBatches = { BRONZE_LINGER_MS: '400', SILVER_LINGER_MS: '400' };
const smallBatches = { BRONZE_BATCH_RECORDS: '20', SILVER_BATCH_RECORDS: '20' };

async function zombie(p: FaultPipeline, { second, withinMs }: ScenarioOptions): Promise<string[]> {
  const held = consumers.map((stage) => p.proxy.holdNextCopy(stage));
  await p.feed(20);
  const releases = await Promise.all(held);
  const zombies = consumers.map((stage) => p.member(stage));
  for (const member of zombies) member.pause();
  for (const stage of consumers) second(stage);
  await p.pipeline.drained(60_000);
  for (const release of releases) release();
  await Promise.all(zombies.map((member) => wake(member)));
  return p.differences({ withinMs });
}

/** Calls of the member of shard `at`, at revision `at`, in its partition. */
function callsOf(p: FaultPipeline, at: 0 | 1, ids: readonly string[]): OutgoingRecord[] {
  const member = memberOf(at);
  return ids.map((id) => ({
    topic: topicName(p.pipeline.prefix, 'calls'),
    key: member,
    value: contracts.calls.encode(call({ call_id: id, member_id: member, revision: at })),
    partition: at,
  }));
}

/** The same three calls at two members, who belong to different shards, in opposite order. */
async function movedCalls(p: FaultPipeline, { second, withinMs }: ScenarioOptions): Promise<string[]> {
  await second('silver-joiner').ready();
  const between = `
    insert into silver_1.call (call_id, member_id, call_timestamp, revision, deleted, emitted_at, shard, ingestion_timestamp,
                               source_topic, source_partition, source_offset)
    values ('b', 'nobody', now(), 0, false, now(), 0, now(), 'none', 0, 0)`;
  await holding(p, between, async () => {
    await p.history.publish([...callsOf(p, 0, ['a', 'b', 'c']), ...callsOf(p, 1, ['c', 'b', 'a'])]);
    await eventually(() => waitingForLocks(p, 'silver-joiner', 2), { what: 'both joiners to wait', everyMs: 20 });
  });
  await countDeadlocks(p);
  return p.differences({ withinMs });
}

/** One member's calls and profile, in partitions of both joiners: each writes what the other has read before. */
async function profileChangedElsewhere(p: FaultPipeline, { second, withinMs }: ScenarioOptions): Promise<string[]> {
  await second('silver-joiner').ready();
  const member = memberOf(0);
  const { prefix } = p.pipeline;
  const inEveryPartition = (round: number): OutgoingRecord[] =>
    Array.from({ length: 12 }, (_, partition) => ({
      topic: topicName(prefix, 'calls'),
      key: member,
      value: contracts.calls.encode(call({ call_id: `round-${round}-${partition}`, member_id: member })),
      partition,
    }));
  const profileOf = (revision: number, plan_type: string): OutgoingRecord => ({
    topic: topicName(prefix, 'members'),
    key: member,
    value: contracts.members.encode(profile({ member_id: member, revision, plan_type })),
    partition: 0,
  });
  for (const records of [
    [profileOf(0, 'MAPD')],
    inEveryPartition(1),
    [profileOf(1, 'Commercial')],
    inEveryPartition(2),
  ]) {
    await p.history.publish(records);
    await p.pipeline.drained(60_000);
  }
  return p.differences({ withinMs });
}

function memberOf(shard: number): string {
  for (let nr = 0; ; nr++) if (shardOf(`moved-${nr}`) === shard) return `moved-${nr}`;
}

/** Every way in which a transaction can fail, one after the other, while more is waiting than a batch takes. */
async function failuresUnderLoad(p: FaultPipeline, { withinMs }: ScenarioOptions): Promise<string[]> {
  for (const cut of ['before COMMIT', 'in COPY', 'after COMMIT'] as const) {
    const happened = consumers.map((stage) => p.proxy.cutNext(cut, stage));
    await p.feed(4);
    await p.history.publish(garbage(p, 60));
    await Promise.all(happened);
  }
  return p.differences({ withinMs });
}

/** Gold is stopped at a point of its fold, and another aggregator has every opportunity to fold the same. */
function zombieInFold(failPoint: string) {
  return async (p: FaultPipeline, { second, withinMs }: ScenarioOptions): Promise<string[]> => {
    const gold = p.member('gold-aggregator');
    gold.reborn({ name: failPoint, pass: 1, signal: 'SIGSTOP' });
    await p.feed(12);
    await eventually(() => gold.isPaused(), { what: `gold to stop at "${failPoint}"` });
    const other = second('gold-aggregator');
    let done = false;
    const isDone = () => {
      done = true;
    };
    // Without a guard it may end before it was ever ready: what that means is for `differences` to say.
    other.ready().then(isDone, isDone);
    await eventually(async () => done || (await waitingForLocks(p, 'gold-aggregator', 1)), { what: 'another fold' });
    gold.resume();
    return p.differences({ withinMs });
  };
}

/** A stage whose transaction swallows the error of its last statement, once: COMMIT is answered with ROLLBACK. */
const swallow = `if (globalThis.swallowed !== true) {
  globalThis.swallowed = true;
  await tx.query('select 1 / 0').catch(() => undefined);
}`;

const slowly = 'await new Promise((resolve) => setTimeout(resolve, 100));';

export const guardScenarios = {
  zombie: {
    what: 'a member is stopped in the middle of a COPY, another takes its partitions over and applies the same records, then it wakes up',
    play: zombie,
  },
  'lost answer': {
    what: 'the connection is cut before the COMMIT of the last batch reaches Postgres',
    play: async (p, { withinMs }) => {
      await p.feed(4);
      await p.pipeline.drained(60_000);
      const happened = consumers.map((stage) => p.proxy.cutNext('before COMMIT', stage));
      await p.history.publish(garbage(p, 1));
      await Promise.all(happened);
      return p.differences({ withinMs });
    },
  },
  'swallowed error': {
    what: 'a transaction of the only batch goes on after a failed statement, so that Postgres answers its COMMIT with ROLLBACK',
    edits: {
      'bronze-sink': [
        {
          file: 'services/bronze-sink/src/bronze-sink.ts',
          right: 'await this.#o.session.transaction((tx) => archive(tx, { pipeline, judgedBy, copies, parts }));',
          wrong: `await this.#o.session.transaction(async (tx) => { await archive(tx, { pipeline, judgedBy, copies, parts }); ${swallow} });`,
        },
      ],
      'silver-joiner': [
        {
          file: 'services/silver-joiner/src/silver-store.ts',
          right:
            'await addOutcomes(tx, pipeline, { counts: ofPartitions(batch.lanes, outcomes), judgedBy: batch.judgedBy });',
          wrong: `await addOutcomes(tx, pipeline, { counts: ofPartitions(batch.lanes, outcomes), judgedBy: batch.judgedBy }); ${swallow}`,
        },
      ],
    },
    play: async (p, { withinMs }) => {
      await p.history.publish(garbage(p, 1));
      return p.differences({ withinMs });
    },
  },
  'log lost': {
    what: 'records that bronze-sink has not read are removed from the log while it is down',
    play: async (p, { second }) => {
      await p.feed(4);
      await p.pipeline.drained(60_000);
      await p.leave(p.member('bronze-sink'));
      await p.history.publish(garbage(p, 12, { partition: 3 }));
      await removeAllButOne(p, topicName(p.pipeline.prefix, 'calls'), 3);
      second('bronze-sink');
      return stopsSaying(p, /Kafka has removed everything below/);
    },
  },
  'log lost while reading': {
    what: 'records that bronze-sink is about to fetch are removed from the log',
    env: { KAFKA_SESSION_TIMEOUT_MS: '30000' },
    play: async (p) => {
      await p.feed(4);
      await p.pipeline.drained(60_000);
      const bronze = p.member('bronze-sink');
      bronze.pause();
      // Its fetch under way is answered, empty.
      await sleep(500);
      await p.history.publish(garbage(p, 12, { partition: 3 }));
      await removeAllButOne(p, topicName(p.pipeline.prefix, 'calls'), 3);
      bronze.resume();
      return stopsSaying(p, /Kafka has removed everything below/);
    },
  },
  'log replaced': {
    what: 'a topic is deleted, created anew and filled beyond the positions while the consumers are down',
    play: async (p, { second }) => {
      await p.feed(8);
      await p.pipeline.drained(60_000);
      await Promise.all(consumers.map((stage) => p.leave(p.member(stage))));
      await replaceTopic(p);
      for (const stage of consumers) second(stage);
      return stopsSaying(p, /no longer holds the record that was read/);
    },
  },
  'opposite shards': {
    what: 'two joiners lock the same shards at the same moment, because records lie in other partitions than their member’s',
    env: largeBatches,
    play: async (p, { second, withinMs }) => {
      await second('silver-joiner').ready();
      const misrouted = p.workload.tell(30).map((record, nr) => ({ ...record, partition: nr % 12 }));
      await holding(p, 'select from ops.shard where generation = 1 and shard = 5 for update', async () => {
        await p.history.publish(misrouted);
        await eventually(() => waitingForLocks(p, 'silver-joiner', 2), { what: 'both joiners to wait', everyMs: 20 });
      });
      await countDeadlocks(p);
      return p.differences({ withinMs });
    },
  },
  'opposite positions': {
    what: 'a zombie and its successor move the same positions at the same moment',
    env: largeBatches,
    play: async (p, { second, withinMs }) => {
      const held = p.proxy.holdNextCopy('bronze-sink');
      await p.history.publish(garbage(p, 240));
      const release = await held;
      const first = p.member('bronze-sink');
      first.pause();
      const onePosition = `select from ops.position where pipeline = 'bronze' and partition = 6 for update`;
      await holding(p, onePosition, async () => {
        second('bronze-sink');
        await eventually(() => waitingForLocks(p, 'bronze-sink', 1), { what: 'the successor to wait', everyMs: 20 });
        release();
        first.resume();
        await eventually(() => waitingForLocks(p, 'bronze-sink', 2), { what: 'the zombie to wait', everyMs: 20 });
      });
      await countDeadlocks(p);
      return p.differences({ withinMs });
    },
  },
  'profile changed elsewhere': {
    what: 'one joiner changes the profile of a member whom the other has looked up before',
    play: profileChangedElsewhere,
  },
  'moved calls': {
    what: 'corrections move calls between members of two joiners while both are writing them, in opposite order',
    env: largeBatches,
    play: movedCalls,
  },
  'call moved away': {
    what: 'a correction moves a call to a member of another shard',
    play: async (p, { withinMs }) => {
      await p.history.publish(callsOf(p, 0, ['a']));
      await p.pipeline.drained(60_000);
      await p.history.publish(callsOf(p, 1, ['a']));
      return p.differences({ withinMs });
    },
  },
  'failures under load': {
    what: 'connections are cut before COMMIT, in a COPY and after COMMIT while more records are buffered than a batch takes',
    env: smallBatches,
    play: failuresUnderLoad,
  },
  'failure without room': {
    what: 'a transaction fails while the buffer is full and a delivery waits for room',
    edits: {
      'bronze-sink': [
        {
          file: 'libs/kafka/src/limits.ts',
          right: 'bufferRecordsPerPartition: 10_000',
          wrong: 'bufferRecordsPerPartition: 5',
        },
      ],
    },
    play: async (p, { withinMs }) => {
      const held = p.proxy.holdNextCopy('bronze-sink');
      await p.history.publish(garbage(p, 5, { partition: 3 }));
      const release = await held;
      // The second is buffered and fills the buffer, the third waits for room.
      for (let nr = 0; nr < 2; nr++) {
        await p.history.publish(garbage(p, 10, { partition: 3 }));
        await sleep(1_000);
      }
      p.proxy.cutAll();
      release();
      return p.differences({ withinMs });
    },
  },
  'offsets set by hand': {
    what: 'somebody sets the committed offsets of the consumer group to the end of the log while bronze-sink is down',
    play: async (p, { second, withinMs }) => {
      await p.feed(4);
      await p.pipeline.drained(60_000);
      await p.leave(p.member('bronze-sink'));
      await p.history.publish(garbage(p, 120));
      const topic = topicName(p.pipeline.prefix, 'calls');
      await withAdmin(p, async (admin) => {
        const ends = await admin.fetchTopicOffsets(topic);
        const partitions = ends.map(({ partition, high }) => ({ partition, offset: String(Number(high) - 2) }));
        const groupId = `${p.pipeline.prefix}.bronze-sink`;
        await eventually(() => admin.setOffsets({ groupId, topic, partitions }).then(() => true), { what: 'offsets' });
      });
      second('bronze-sink');
      return p.differences({ withinMs });
    },
  },
  'stopped before its cells': {
    what: 'an aggregator is stopped when it has read its part of the change log, and another folds the same, then it goes on',
    play: zombieInFold('log read'),
  },
  'stopped behind its cells': {
    what: 'an aggregator is stopped when it has added new cells, and another folds the same, then it goes on',
    play: zombieInFold('cells added'),
  },
  'change log cut': {
    what: 'rows of the change log that gold has not read are deleted while it is down',
    play: async (p, { second, withinMs }) => {
      await p.feed(8);
      await p.pipeline.drained(60_000);
      await p.leave(p.member('gold-aggregator'));
      await p.feed(8);
      await eventually(async () => (await p.pipeline.pool.query(goldIsBehind)).rowCount > 3, { what: 'silver' });
      await p.pipeline.pool.query(`
        delete from silver_1.change_log c using ops.reader r
         where r.reader = 'gold' and r.generation = 1 and r.shard = c.shard and c.seq <= r.next_seq`);
      second('gold-aggregator');
      return p.differences({ withinMs });
    },
  },
  'next batch prepared': {
    what: 'a slow database: the next batch is encoded before the buffers of the one before are sent',
    env: smallBatches,
    edits: {
      'bronze-sink': [
        {
          file: 'services/bronze-sink/src/bronze-store.ts',
          right: 'const copied = batch.copies.length === 0 ?',
          wrong: `${slowly} const copied = batch.copies.length === 0 ?`,
        },
      ],
      'silver-joiner': [
        {
          file: 'services/silver-joiner/src/silver-store.ts',
          right: 'if (batch.copies.length > 0) await tx.copyAll(',
          wrong: `${slowly} if (batch.copies.length > 0) await tx.copyAll(`,
        },
      ],
    },
    play: async (p, { withinMs }) => {
      await p.history.publish(garbage(p, 99));
      await p.history.publish(garbage(p, 300));
      return p.differences({ withinMs });
    },
  },
} as const satisfies Record<string, GuardScenario>;

export type ScenarioName = keyof typeof guardScenarios;

const goldIsBehind = `
  select from ops.shard s join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
   where s.generation = 1 and r.next_seq <= s.change_seq`;

async function replaceTopic(p: FaultPipeline): Promise<void> {
  const client = createKafkaClient({ brokers: [...p.pipeline.brokers], clientId: 'tests', log });
  const topic = topicName(p.pipeline.prefix, 'calls');
  const before = await topicOffsets(client, [topic]);
  await withAdmin(p, async (admin) => {
    await admin.deleteTopics({ topics: [topic] });
    await eventually(async () => !(await admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
  });
  await eventually(() => ensureTopics(client, topicTable(p.pipeline.prefix)).then(() => true), { what: 'the topic' });
  const refill = before.flatMap(({ partition, high }) => garbage(p, high + 2, { partition }));
  await eventually(() => p.history.publish(refill).then(() => true), { what: 'the topic to be filled' });
}
