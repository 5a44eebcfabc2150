import kafkajs, { type CompressionTypes, type Message, type Producer, type RecordMetadata } from 'kafkajs';
import { connected, type KafkaClient, kafkaOf } from './client.ts';
import type { Compression, OutgoingRecord, PublishedRange, Publisher, PublisherOptions } from './types.ts';

/** kafkajs makes one record batch per partition and send, and a broker refuses batches above 1 MiB (message.max.bytes). */
const sendBytesMax = 900_000;
/** kafkajs' grouping by partition is quadratic in this. */
const sendRecordsMax = 2_000;
const recordOverheadBytes = 70;
const sendTimeoutMs = 30_000;
/** How often the part of a send that nobody acknowledged is sent again. */
const resendsMax = 5;
/** Callers that may wait for their turn at once. */
const waitingMax = 100;

const codecOf: Readonly<Record<Compression, CompressionTypes>> = {
  none: kafkajs.CompressionTypes.None,
  gzip: kafkajs.CompressionTypes.GZIP,
  snappy: kafkajs.CompressionTypes.Snappy,
  lz4: kafkajs.CompressionTypes.LZ4,
  zstd: kafkajs.CompressionTypes.ZSTD,
};

const noHeaders = {};

/** A message with its topic; the partitioner writes its choice into it, so that a retry cannot choose differently. */
interface Outgoing extends Message {
  topic: string;
}

/**
 * A producer that says yes only when every partition said so. Not idempotent on purpose: kafkajs' idempotent producer loses
 * acknowledged messages under concurrency, and what a repeated send doubles, event identity removes downstream.
 */
export async function startPublisher(client: KafkaClient, options: PublisherOptions): Promise<Publisher> {
  const producer = kafkaOf(client).producer({
    idempotent: false,
    allowAutoTopicCreation: false,
    createPartitioner: stickingPartitioner,
  });
  await connected(producer.connect(), client);
  const compression = codecOf[options.compression ?? 'none'];
  let waiting = 0;
  let tail: Promise<unknown> = Promise.resolve();

  const publish = async (batch: readonly OutgoingRecord[]): Promise<PublishedRange[]> => {
    if (waiting >= waitingMax) throw new Error(`${waiting} publishes wait already: await each publish before the next`);
    waiting += 1;
    const before = tail;
    // One send in flight at a time: kafkajs loses records of concurrent ones.
    const mine = before.then(() => publishInTurn(producer, compression, batch));
    tail = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      waiting -= 1;
    }
  };
  return {
    name: 'publisher',
    publish,
    stop: async () => {
      await tail;
      await producer.disconnect();
    },
  };
}

function stickingPartitioner(): (args: kafkajs.PartitionerArgs) => number {
  const pick = kafkajs.Partitioners.DefaultPartitioner();
  return (args) => {
    args.message.partition ??= pick(args);
    return args.message.partition;
  };
}

async function publishInTurn(
  producer: Producer,
  compression: CompressionTypes,
  batch: readonly OutgoingRecord[],
): Promise<PublishedRange[]> {
  const ranges = new Map<string, PublishedRange>();
  for (const part of sendsOf(batch)) {
    for (const range of await sendAll(producer, compression, part)) {
      const key = partitionKey(range.topic, range.partition);
      const known = ranges.get(key);
      ranges.set(key, known === undefined ? range : { ...known, lastOffset: range.lastOffset });
    }
  }
  return [...ranges.values()];
}

/** Cuts a batch into sends that no broker refuses for their size; a single larger record goes alone, and the broker decides. */
export function sendsOf(batch: readonly OutgoingRecord[]): OutgoingRecord[][] {
  const sends: OutgoingRecord[][] = [];
  let send: OutgoingRecord[] = [];
  let bytes = 0;
  for (const record of batch) {
    const size =
      recordOverheadBytes + (record.key?.length ?? 0) * 3 + (record.value?.length ?? 0) + headerBytes(record);
    if (send.length > 0 && (bytes + size > sendBytesMax || send.length >= sendRecordsMax)) {
      sends.push(send);
      send = [];
      bytes = 0;
    }
    send.push(record);
    bytes += size;
  }
  if (send.length > 0) sends.push(send);
  return sends;
}

function headerBytes({ headers }: OutgoingRecord): number {
  let bytes = 0;
  for (const name in headers) bytes += (name.length + (headers[name]?.length ?? 0)) * 3;
  return bytes;
}

async function sendAll(
  producer: Producer,
  compression: CompressionTypes,
  records: readonly OutgoingRecord[],
): Promise<PublishedRange[]> {
  const ranges: PublishedRange[] = [];
  let open: Outgoing[] = records.map(({ topic, key, value, headers, partition }) => {
    return { topic, key, value, partition, headers: headers === undefined ? noHeaders : { ...headers } };
  });
  for (let attempt = 0; attempt <= resendsMax; attempt += 1) {
    const answers = await producer.sendBatch({
      acks: -1,
      timeout: sendTimeoutMs,
      compression,
      topicMessages: byTopic(open),
    });
    const { acknowledged, missing } = settle(open, answers);
    ranges.push(...acknowledged);
    if (missing.length === 0) return ranges;
    // kafkajs reports success for a partition whose leader moved during the send although it never sent it.
    open = missing;
  }
  const places = new Set(open.map(({ topic, partition }) => `${topic}/${partition}`));
  throw new Error(
    `Kafka did not acknowledge ${open.length} records for ${[...places].join(', ')} in ${resendsMax + 1} sends: check the leaders of these partitions, then publish the batch again`,
  );
}

function byTopic(messages: readonly Outgoing[]): { topic: string; messages: Outgoing[] }[] {
  const topics = new Map<string, Outgoing[]>();
  for (const message of messages) {
    const list = topics.get(message.topic);
    if (list === undefined) topics.set(message.topic, [message]);
    else list.push(message);
  }
  return [...topics].map(([topic, list]) => ({ topic, messages: list }));
}

/** Holds the answers against what was sent: every partition must have answered, without an error and with an offset. */
export function settle(
  sent: readonly Outgoing[],
  answers: readonly RecordMetadata[],
): { acknowledged: PublishedRange[]; missing: Outgoing[] } {
  const counts = new Map<string, Map<number | undefined, number>>();
  for (const { topic, partition } of sent) {
    const ofTopic = counts.get(topic) ?? new Map<number | undefined, number>();
    counts.set(topic, ofTopic.set(partition, (ofTopic.get(partition) ?? 0) + 1));
  }
  const acknowledged: PublishedRange[] = [];
  for (const { topicName: topic, partition, errorCode, baseOffset } of answers) {
    const firstOffset = Number(baseOffset ?? Number.NaN);
    if (errorCode !== 0 || !(firstOffset >= 0)) {
      throw new Error(
        `Kafka refused records for ${topic}/${partition} (error code ${errorCode}, offset ${baseOffset}): look the code up in Kafka's protocol guide, then publish the batch again`,
      );
    }
    const count = counts.get(topic)?.get(partition);
    if (count === undefined) continue;
    counts.get(topic)?.delete(partition);
    acknowledged.push({ topic, partition, firstOffset, lastOffset: firstOffset + count - 1 });
  }
  const open = [...counts.values()].some((ofTopic) => ofTopic.size > 0);
  return { acknowledged, missing: open ? sent.filter((m) => counts.get(m.topic)?.has(m.partition)) : [] };
}

function partitionKey(topic: string, partition: number | undefined): string {
  return `${topic}/${partition}`;
}
