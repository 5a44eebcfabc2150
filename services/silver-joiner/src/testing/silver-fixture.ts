import type { KafkaRecord } from '@leakage/kafka';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import { FakeTopics, type SentRecord } from './delivery.ts';
import { type ChangeRow, fold, foldedRows, gaps, JoinerProcess, SilverDatabase } from './postgres-silver.ts';
import { stateOf, type VectorState } from './vectors.ts';

/** A silver in a database of its own, two processes that work on it, and topics that they read. */
export class SilverFixture {
  readonly db: SilverDatabase;
  readonly other: JoinerProcess;
  one: JoinerProcess;
  /** Whether batches are prepared as those of a generation that has not caught up. */
  building = false;
  topics = new FakeTopics();
  readonly #server: TestDatabase;

  private constructor(server: TestDatabase, db: SilverDatabase) {
    this.#server = server;
    this.db = db;
    this.one = this.process();
    this.other = this.process();
  }

  static async open(): Promise<SilverFixture> {
    const server = await freshDatabase();
    return new SilverFixture(server, await SilverDatabase.open(server.url));
  }

  async close(): Promise<void> {
    await this.one.stop();
    await this.other.stop();
    await this.db.pool.stop();
    await this.#server.drop();
  }

  process(): JoinerProcess {
    return new JoinerProcess(this.#server.url, () => this.building);
  }

  /** Nothing was ever sent. */
  async reset({ building = false } = {}): Promise<void> {
    this.building = building;
    await this.db.clear();
    this.topics = new FakeTopics();
  }

  /** The process ends, and a new one takes its place. */
  async restart(): Promise<void> {
    await this.one.stop();
    this.one = this.process();
  }

  send(records: readonly SentRecord[]): KafkaRecord[] {
    return records.map((record) => this.topics.send(record));
  }

  async take(records: readonly SentRecord[], process = this.one): Promise<void> {
    const result = await process.take(this.topics.deliver(this.send(records)));
    if (result !== 'applied') throw new Error(`a batch was not applied: ${result}`);
  }

  async state(): Promise<VectorState> {
    return stateOf(await this.db.facts(), await this.db.outcomes());
  }

  /** What is wrong with silver whatever was sent: gaps in seq, and a log that does not fold to the facts. */
  async problems(): Promise<string[]> {
    const [changes, facts, outcomes] = [await this.db.changes(), await this.db.facts(), await this.db.outcomes()];
    const { left, negative } = fold(changes);
    const folded = left.filter((row) => !row.startsWith('member'));
    const stored = [...foldedRows('call', facts), ...foldedRows('journey', outcomes)].sort();
    return [
      ...gaps(changes),
      ...negative.map((row) => `removed before it was there: ${row}`),
      ...folded.filter((row) => !stored.includes(row)).map((row) => `logged, not stored: ${row}`),
      ...stored.filter((row) => !folded.includes(row)).map((row) => `stored, not logged: ${row}`),
      ...(folded.length === stored.length ? [] : [`${folded.length} rows logged, ${stored.length} stored`]),
      ...(await this.#wrongSeqs(changes)),
    ];
  }

  async #wrongSeqs(changes: readonly ChangeRow[]): Promise<string[]> {
    const last = new Map(changes.map(({ shard, seq }) => [shard, seq]));
    const { rows } = await this.db.pool.query<{ shard: number; change_seq: number }>(
      'select shard, change_seq from ops.shard',
    );
    return rows.flatMap(({ shard, change_seq }) =>
      change_seq === (last.get(shard) ?? 0)
        ? []
        : [`shard ${shard} says ${change_seq}, its log ends with ${last.get(shard)}`],
    );
  }
}

/** The partition that a record is sent to. */
export function partitionOf(record: SentRecord): number {
  return new FakeTopics().send(record).partition;
}
