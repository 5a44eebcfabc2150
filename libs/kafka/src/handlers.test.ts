import type { EachBatchPayload } from 'kafkajs';
import { beforeEach, expect, test, vi } from 'vitest';
import { type HandlerOptions, handleBatch, handleHoles } from './handlers.ts';
import { Intake } from './intake.ts';

const limits = { maxBatchRecords: 10, maxBatchBytes: 1e6, bufferRecordsPerPartition: 3, bufferBytes: 1e6 };
let intake: Intake;
let stopping: boolean;
let o: HandlerOptions;
const told = { misplaced: vi.fn(), admitted: vi.fn(), waiting: vi.fn(), fail: vi.fn() };
const kafkajs = { heartbeat: vi.fn(), resolveOffset: vi.fn(), isRunning: vi.fn(), isStale: vi.fn() };

beforeEach(() => {
  vi.resetAllMocks();
  kafkajs.isRunning.mockReturnValue(true);
  kafkajs.isStale.mockReturnValue(false);
  stopping = false;
  intake = new Intake(limits);
  intake.assign([{ topic: 't', partition: 0 }]);
  open(0);
  o = { intake, heartbeatMs: 10, stopping: () => stopping, ...told };
});

function open(nextOffset: number): void {
  for (const lane of intake.lanes)
    intake.open(lane, { seekTo: nextOffset, nextOffset, witness: null, untilOffset: null });
}

/** A batch of kafkajs with records at `from` to `to`, then markers up to `last`. */
function payload(from: number, to: number, last = to - 1): EachBatchPayload {
  const messages = Array.from({ length: to - from }, (_, at) => ({
    offset: String(from + at),
    timestamp: '1767225600000',
    key: null,
    value: Buffer.from('x'),
    headers: {},
  }));
  const batch = { topic: 't', partition: 0, fetchedOffset: String(from), messages, lastOffset: () => String(last) };
  return { batch, ...kafkajs } as unknown as EachBatchPayload;
}

test('a delivery is appended and resolved up to its last offset, markers included', async () => {
  await handleBatch(o, payload(0, 2, 4));
  expect(intake.take()?.chunks).toMatchObject([{ expectedOffset: 0, nextOffset: 5, holes: 3 }]);
  expect(kafkajs.resolveOffset).toHaveBeenCalledExactlyOnceWith('4');
  expect(told.admitted).toHaveBeenCalledExactlyOnceWith('t', 0);
});

test('a delivery that does not begin at the position is not resolved and is reported', async () => {
  await handleBatch(o, payload(7, 9));
  expect(told.misplaced).toHaveBeenCalledExactlyOnceWith('t', 0);
  expect(kafkajs.resolveOffset).not.toHaveBeenCalled();
  expect(intake.pending).toBe(false);
});

test('while there is no room a handler waits, with heartbeats, and appends when there is', async () => {
  await handleBatch(o, payload(0, 3));
  const waiting = handleBatch(o, payload(3, 5));
  await vi.waitFor(() => expect(kafkajs.heartbeat.mock.calls.length).toBeGreaterThan(2));
  expect(intake.records).toBe(3);
  expect(told.waiting).toHaveBeenCalled();
  intake.take();
  await waiting;
  expect(intake.records).toBe(2);
});

test('a handler that wakes with an older drop number throws its records away', async () => {
  await handleBatch(o, payload(0, 3));
  const waiting = handleBatch(o, payload(3, 5));
  intake.dropAll();
  open(0);
  await waiting;
  expect(intake.pending).toBe(false);
  expect(kafkajs.resolveOffset).toHaveBeenCalledTimes(1);
});

test('a rebalance that a waiting handler hears of goes to kafkajs, and nothing is appended', async () => {
  await handleBatch(o, payload(0, 3));
  kafkajs.heartbeat.mockRejectedValue(new Error('The group is rebalancing'));
  await expect(handleBatch(o, payload(3, 5))).rejects.toThrow('rebalancing');
  expect(intake.records).toBe(3);
});

test('a defect in the handler ends the consumer loudly: kafkajs would stop silently', async () => {
  const { batch, ...rest } = payload(0, 2);
  const broken = { ...batch, lastOffset: () => 'nonsense' };
  await handleBatch(o, { batch: broken, ...rest } as EachBatchPayload);
  expect(told.fail).toHaveBeenCalledOnce();
  expect(kafkajs.resolveOffset).not.toHaveBeenCalled();
});

test.each([
  ['stopping', () => (stopping = true)],
  ['not running', () => kafkajs.isRunning.mockReturnValue(false)],
  ['stale, because a seek is pending', () => kafkajs.isStale.mockReturnValue(true)],
])('nothing is taken when %s', async (_, arrange) => {
  arrange();
  await handleBatch(o, payload(0, 2));
  expect(intake.pending).toBe(false);
  expect(kafkajs.resolveOffset).not.toHaveBeenCalled();
});

test('a batch of markers only moves the position; one that does not begin there is reported', () => {
  const event = { topic: 't', partition: 0, batchSize: 0, firstOffset: '0', lastOffset: '2' };
  handleHoles(o, { ...event, batchSize: 3 });
  expect(intake.pending).toBe(false);
  handleHoles(o, event);
  expect(intake.take()?.chunks).toMatchObject([{ expectedOffset: 0, nextOffset: 3, holes: 3, lastOffset: null }]);
  handleHoles(o, { ...event, firstOffset: '9', lastOffset: '9' });
  expect(told.misplaced).toHaveBeenCalledExactlyOnceWith('t', 0);
});
