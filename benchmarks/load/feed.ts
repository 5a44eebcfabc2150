// Sends prepared records to Kafka, as a process of its own: as fast as Kafka takes them, or at a rate. Tells its parent how far
// it is. Started by `startFeed`.
import { createKafkaClient, type OutgoingRecord, startPublisher } from '@leakage/kafka';
import { createLogger, sleep } from '@leakage/runtime';
import { contracts, topicName } from '@leakage/schemas';
import type { FeedOrder, FeedReport } from './feed-process.ts';
import { probe } from './probes.ts';
import { RecordsReader } from './records-file.ts';

const batchRecords = 4_000;
/** As a producer with a usual linger: small batches cost a broker and its consumers more than their records do. */
const tickMs = 40;

const order = JSON.parse(process.argv[2] ?? '') as FeedOrder;
const log = createLogger({ service: 'benchmark', level: 'warn' });
const kafka = createKafkaClient({ brokers: order.brokers.split(','), clientId: 'benchmark', log });
const publisher = await startPublisher(kafka, { log });
const records = new RecordsReader(order.file);
let stopping = false;
process.once('message', () => {
  stopping = true;
});
process.once('disconnect', () => process.exit(1));

await skip(order.skip);
tell({ kind: 'ready' });
const sent = order.rate === null ? await sendAll(order.records) : await sendAtRate(order.rate, order.records);
await publisher.stop();
tell({ kind: 'done', sent });
process.disconnect();

async function skip(count: number): Promise<void> {
  for (let left = count; left > 0; ) {
    const skipped = await records.take(Math.min(left, batchRecords));
    if (skipped.length === 0) return;
    left -= skipped.length;
  }
}

async function sendAll(max: number): Promise<number> {
  let count = 0;
  let next = await outgoing(Math.min(batchRecords, max));
  while (next.length > 0 && !stopping) {
    const sending = publisher.publish(next);
    const following = await outgoing(Math.min(batchRecords, max - count - next.length));
    await sending;
    count += next.length;
    tell({ kind: 'sent', records: count });
    next = following;
  }
  return count;
}

/** Open loop: what is due is due, however long the send before it took. */
async function sendAtRate(rate: number, max: number): Promise<number> {
  const began = performance.now();
  let count = 0;
  let probes = 0;
  while (!stopping && count < max) {
    const elapsedMs = performance.now() - began;
    const batch = await outgoing(Math.min(Math.floor((elapsedMs * rate) / 1000) - count, batchRecords, max - count));
    count += batch.length;
    const dueProbes = Math.min(order.probes, Math.floor((elapsedMs * order.probesPerSecond) / 1000));
    for (; probes < dueProbes; probes += 1) {
      batch.push(...probeRecords(probes));
      // When it was to be sent, not when it was: a load that falls behind must not hide that (coordinated omission).
      tell({ kind: 'probe', dueAt: performance.timeOrigin + began + ((probes + 1) * 1000) / order.probesPerSecond });
    }
    if (batch.length > 0) await publisher.publish(batch);
    tell({ kind: 'sent', records: count });
    await sleep(Math.max(0, tickMs - (performance.now() - began - elapsedMs)));
  }
  return count;
}

async function outgoing(max: number): Promise<OutgoingRecord[]> {
  if (max <= 0) return [];
  const taken = await records.take(max);
  return taken.map(({ source, key, value, partition }) => {
    const record = { topic: topicName(order.prefix, source), key, value };
    return partition === null ? record : { ...record, partition };
  });
}

function probeRecords(n: number): OutgoingRecord[] {
  const { journey, call } = probe(n);
  return [
    { topic: topicName(order.prefix, 'journeys'), key: journey.member_id, value: contracts.journeys.encode(journey) },
    { topic: topicName(order.prefix, 'calls'), key: call.member_id, value: contracts.calls.encode(call) },
  ];
}

function tell(report: FeedReport): void {
  process.send?.(report);
}
