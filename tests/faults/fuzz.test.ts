import { createHash } from 'node:crypto';
import type { OutgoingRecord } from '@leakage/kafka';
import { contracts, SOURCES, type Source, topicName } from '@leakage/schemas';
import { call, journey, profile, type ServiceName, type ServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../../cli/src/verify.ts';
import { emptyPipeline, type Pipeline } from '../support/pipeline.ts';
import { randomOf } from '../support/random.ts';
import { report as endured, long } from './support/report.ts';

const seed = Number(process.env.FAULT_SEED ?? Date.now() % 1_000_000);
const waves = long ? 20 : 4;
const perWave = long ? 5_000 : 1_250;
const services: readonly ServiceName[] = ['bronze-sink', 'silver-joiner', 'gold-aggregator'];
const bronzeTables: Readonly<Record<Source, string>> = {
  journeys: 'bronze.digital_journeys_raw',
  calls: 'bronze.call_logs_raw',
  members: 'bronze.member_profiles_raw',
};
const partitions = 12;

/** Pieces that break parsers, put into good records at random places. */
const nasty = ['"', '\\', '{', '}', '\0', '\\ud800', '\ufffd', '1e999', 'null', '-0', '[[[[', '"":', '\r\n', '\u2028'];

/** Good, damaged and senseless values, and nothing but the seed decides which. */
class Fuzzer {
  readonly #random: () => number;

  constructor(from: number) {
    this.#random = randomOf(from);
  }

  below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(max: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(max) }, () => this.below(256)));
  }

  record(prefix: string): OutgoingRecord {
    const source = this.pick(SOURCES);
    const member = `M-${this.below(50)}`;
    return {
      topic: topicName(prefix, source),
      key: this.pick([member, member, member, null, this.bytes(20), 'somebody else']),
      value: this.#value(source, member),
      // The publisher groups by partition: chosen here, the place of every record is known.
      partition: this.below(partitions),
    };
  }

  #value(source: Source, member: string): Buffer | null {
    switch (this.below(12)) {
      case 0:
        return this.below(4) === 0 ? null : this.bytes(200);
      case 1:
        return Buffer.concat([Buffer.from([0, 0, 0, 0, this.below(5)]), this.bytes(100)]);
      case 2:
        return Buffer.concat([Buffer.from('{'), this.bytes(100)]);
      case 3:
      case 4:
        return this.#good(source, member);
      default: {
        let value = this.#good(this.below(20) === 0 ? this.pick(SOURCES) : source, member);
        for (let times = 1 + this.below(3); times > 0; times -= 1) value = this.#damaged(value, member);
        return value;
      }
    }
  }

  #good(source: Source, member: string): Buffer {
    const at = Date.parse('2026-03-02T15:00:00Z') + this.below(7_200_000);
    const asJson = this.below(2) === 0;
    const revision = this.below(3);
    switch (source) {
      case 'journeys': {
        const event = journey({
          event_id: `E-${this.below(500)}`,
          member_id: member,
          session_id: `S-${this.below(20)}`,
          timestamp: at,
          action: this.pick(['error', 'abandon', 'complete', 'login']),
          revision,
        });
        return asJson ? contracts.journeys.encodeJson(event) : contracts.journeys.encode(event);
      }
      case 'calls': {
        const event = call({ call_id: `C-${this.below(500)}`, member_id: member, call_timestamp: at, revision });
        return asJson ? contracts.calls.encodeJson(event) : contracts.calls.encode(event);
      }
      case 'members': {
        const event = profile({ member_id: member, valid_from: this.below(2) === 0 ? null : at, revision });
        return asJson ? contracts.members.encodeJson(event) : contracts.members.encode(event);
      }
    }
  }

  #damaged(value: Buffer, member: string): Buffer {
    const at = this.below(value.length + 1);
    const to = Math.min(value.length, at + this.below(30));
    const copy = Buffer.from(value);
    switch (this.below(8)) {
      case 0: // a bit
        if (at < copy.length) copy[at] = (copy[at] ?? 0) ^ (1 << this.below(8));
        return copy;
      case 1: // a byte
        if (at < copy.length) copy[at] = this.below(256);
        return copy;
      case 2: // cut off
        return copy.subarray(0, at);
      case 3: // cut out
        return Buffer.concat([copy.subarray(0, at), copy.subarray(to)]);
      case 4: // doubled
        return Buffer.concat([copy.subarray(0, to), copy.subarray(at)]);
      case 5: // spliced
        return Buffer.concat([copy.subarray(0, at), this.#good(this.pick(SOURCES), member).subarray(this.below(100))]);
      case 6: // another schema, or no schema
        if (copy.length > 4) copy.writeInt32BE(this.pick([-1, 0, 1, 2, 3, 4, 5]), 1);
        return copy;
      default: // something inserted
        return Buffer.concat([copy.subarray(0, at), Buffer.from(this.pick(nasty)), copy.subarray(to)]);
    }
  }
}

interface Sent {
  readonly partition: string;
  readonly hash: string;
}

function hashOf(key: Buffer | string | null, value: Buffer | null): string {
  const hash = createHash('sha256');
  for (const part of [key, value])
    hash.update(part === null ? 'null' : `${Buffer.byteLength(part)}:`).update(part ?? '');
  return hash.digest('hex');
}

describe(`random records (FAULT_SEED=${seed})`, () => {
  let pipeline: Pipeline;
  let processes: ServiceProcess[];
  beforeAll(async () => {
    console.log(`FAULT_SEED=${seed}`);
    pipeline = await emptyPipeline();
    processes = await Promise.all(services.map((name) => pipeline.start(name)));
  });
  afterAll(async () => await pipeline.stop());

  it('stop nothing, and each is kept once with its bytes', { timeout: long ? 900_000 : 120_000 }, async () => {
    const fuzzer = new Fuzzer(seed);
    const sent: Sent[] = [];
    for (let wave = 0; wave < waves; wave += 1) {
      const records = Array.from({ length: perWave }, () => fuzzer.record(pipeline.prefix));
      await pipeline.feed(records);
      for (const { topic, partition, key, value } of records) {
        sent.push({ partition: `${topic} ${partition}`, hash: hashOf(key, value) });
      }
      for (const one of processes) {
        expect(await Promise.race([one.exited, Promise.resolve('runs')]), one.output()).toBe('runs');
      }
    }
    expect(await stored(pipeline)).toEqual(byPartition(sent));
    await expectConservation(pipeline, sent.length);
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
    expect(report.ok).toBe(true);
    endured({ kind: 'fuzz', fault: 'random and damaged records', times: sent.length });
    const outcomes = await pipeline.pool.query<{ outcome: string; records: number }>(
      `select 'quarantined' as outcome, count(*) as records from silver_1.quarantine_record
       union all select 'call', count(*) from silver_1.call
       union all select 'journey', count(*) from silver_1.journey_event
       union all select 'profile', count(*) from silver_1.member_profile order by outcome`,
    );
    // A fuzzer of which nothing or everything is refused would prove nothing.
    for (const { records } of outcomes.rows) expect(records).toBeGreaterThan(50);
  });
});

/** One hash a partition, over its records in the order sent: the publisher keeps that order within a partition. */
function byPartition(sent: readonly Sent[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { partition, hash } of sent) {
    const hashes = found.get(partition);
    if (hashes === undefined) found.set(partition, [hash]);
    else hashes.push(hash);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What bronze holds, by partition in the order of offsets, which must be 0, 1, 2 and so on. */
async function stored(pipeline: Pipeline): Promise<Map<string, string[]>> {
  const sent: Sent[] = [];
  let last = { partition: '', offset: -1 };
  for (const source of SOURCES) {
    const { rows } = await pipeline.pool.query<{
      partition: string;
      kafka_offset: number;
      key: Buffer;
      payload: Buffer;
    }>(
      `select kafka_topic || ' ' || kafka_partition as partition, kafka_offset, kafka_key as key, payload
         from ${bronzeTables[source]} order by kafka_partition, kafka_offset`,
    );
    for (const { partition, kafka_offset: offset, key, payload } of rows) {
      expect(offset).toBe(partition === last.partition ? last.offset + 1 : 0);
      last = { partition, offset };
      sent.push({ partition, hash: hashOf(key, payload) });
    }
  }
  return byPartition(sent);
}

async function expectConservation(pipeline: Pipeline, records: number): Promise<void> {
  const { rows } = await pipeline.pool.query<{ pipeline: string; offsets: number; outcomes: number; holes: number }>(
    `select pipeline, sum(next_offset - first_offset)::bigint as offsets,
            sum(accepted + superseded + duplicates + conflicts + quarantined)::bigint as outcomes, sum(holes)::bigint as holes
       from ops.position group by pipeline order by pipeline`,
  );
  const all = { offsets: records, outcomes: records, holes: 0 };
  expect(rows).toEqual([
    { pipeline: 'bronze', ...all },
    { pipeline: 'silver_1', ...all },
  ]);
}
