import { createLogger, Metrics } from '@leakage/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { consumerMetrics } from './consumer-metrics.ts';
import { ConsumerError, StalledError } from './errors.ts';
import { Intake } from './intake.ts';
import { until } from './test-pipeline.ts';
import type { ApplyResult, PartitionChunk } from './types.ts';
import { Writer } from './writer.ts';

const limits = { lingerMs: 0, applyMs: 2_000, failuresMax: 2, movedMax: 3, maxBatchRecords: 10 };
const intakeLimits = { maxBatchRecords: 10, maxBatchBytes: 1e6, bufferRecordsPerPartition: 100, bufferBytes: 1e6 };

/** A log of endless records, a position that moves with each commit, and a record of what happened in which order. */
let intake: Intake;
let events: string[];
let position: number;
let drops: string[];
let writer: Writer<Prepared> | null;

interface Prepared {
  readonly name: string;
  readonly chunk: PartitionChunk;
}

beforeEach(() => {
  intake = new Intake(intakeLimits);
  events = [];
  drops = [];
  position = 0;
  writer = null;
});

afterEach(() => writer?.stop());

function deliver(count: number): void {
  const from = intake.lane('t', 0)?.reading?.fetchAt ?? 0;
  const records = Array.from({ length: count }, (_, at) => ({
    topic: 't',
    partition: 0,
    offset: from + at,
    timestampMs: 0,
    key: null,
    value: null,
    headers: null,
  }));
  intake.append({ topic: 't', partition: 0, fetchedOffset: from, nextOffset: from + count, records });
}

function start(
  apply: (prepared: Prepared, commit: () => ApplyResult) => Promise<ApplyResult>,
  options: Partial<typeof limits> & { prepare?: (name: string) => void } = {},
): Promise<void> {
  intake.assign([{ topic: 't', partition: 0 }]);
  writer = new Writer<Prepared>({
    intake,
    limits: { ...limits, ...options },
    log: createLogger({ service: 'test', level: 'silent' }),
    metrics: consumerMetrics(new Metrics(), { groupId: 'g', held: () => intake, lags: () => [] }),
    onApplied: () => events.push('applied'),
    drop: (reason) => {
      drops.push(reason);
      intake.dropAll();
    },
    reposition: async () => {
      events.push(`position ${position}`);
      for (const lane of intake.lanes)
        intake.open(lane, { seekTo: position, nextOffset: position, witness: null, untilOffset: null });
    },
    stage: {
      prepare: ([chunk]) => {
        if (chunk === undefined) throw new Error('an empty batch');
        const name = `${chunk.expectedOffset}-${chunk.nextOffset}`;
        events.push(`prepare ${name}`);
        options.prepare?.(name);
        return { name, chunk };
      },
      apply: (prepared) => {
        events.push(`apply ${prepared.name}`);
        return apply(prepared, () => {
          if (prepared.chunk.expectedOffset !== position) return 'moved';
          position = prepared.chunk.nextOffset;
          return 'applied';
        });
      },
    },
  });
  return writer.run();
}

const positioned = () => until('a position was read', () => intake.positioned && intake.lanes.length > 0);

test('what arrives is prepared and applied, and the loop waits for more', async () => {
  const running = start(async (_, commit) => commit());
  await positioned();
  deliver(3);
  await until('applied', () => position === 3);
  deliver(2);
  await until('applied', () => position === 5);
  writer?.stop();
  await running;
  expect(events).toEqual(['position 0', 'prepare 0-3', 'apply 0-3', 'applied', 'prepare 3-5', 'apply 3-5', 'applied']);
});

test('a full batch is prepared while the one before is applied, and applied only after its commit', async () => {
  const gate = Promise.withResolvers<void>();
  const running = start(async ({ name }, commit) => {
    if (name === '0-3') await gate.promise;
    return commit();
  });
  await positioned();
  deliver(3);
  await until('the first is being applied', () => events.includes('apply 0-3'));
  deliver(4);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(events.at(-1)).toBe('apply 0-3');
  deliver(20);
  await until('the next is prepared', () => events.at(-1) === 'prepare 3-13');
  gate.resolve();
  await until('all is applied', () => position === 27);
  writer?.stop();
  await running;
  const order = (event: string) => events.indexOf(event);
  expect(order('prepare 3-13')).toBeLessThan(order('applied'));
  expect(order('apply 3-13')).toBeGreaterThan(order('applied'));
});

test('a moved position drops what is buffered and prepared, and reading begins at the stored position', async () => {
  const gate = Promise.withResolvers<void>();
  const running = start(async ({ name }, commit) => {
    if (name !== '0-5') return commit();
    await gate.promise;
    position = 40;
    return commit();
  });
  await positioned();
  deliver(5);
  await until('being applied', () => events.includes('apply 0-5'));
  deliver(20);
  await until('prepared ahead', () => events.includes('prepare 5-15'));
  gate.resolve();
  await until('repositioned', () => events.includes('position 40'));
  expect(drops).toEqual(['moved']);
  expect(intake.records).toBe(0);
  deliver(2);
  await until('going on', () => position === 42);
  expect(events).not.toContain('apply 5-15');
  writer?.stop();
  await running;
});

test('an unanswered commit that was applied is not applied again', async () => {
  const running = start(async ({ name }, commit) => {
    const result = commit();
    return name === '0-5' ? 'unknown' : result;
  });
  await positioned();
  deliver(5);
  await until('repositioned', () => events.includes('position 5'));
  deliver(1);
  await until('going on', () => position === 6);
  expect(drops).toEqual(['unknown']);
  writer?.stop();
  await running;
});

test('a failing apply is tried again from the stored position, a bounded number of times', async () => {
  let attempts = 0;
  const running = start(async () => {
    attempts += 1;
    throw new Error('out of disk');
  });
  const feeding = setInterval(() => {
    if (intake.positioned && !intake.pending) deliver(1);
  }, 5);
  try {
    await expect(running).rejects.toThrow(/could not be applied \(3 attempts\): out of disk/);
  } finally {
    clearInterval(feeding);
  }
  expect(attempts).toBe(3);
  expect(position).toBe(0);
});

test('a programming error in apply is not tried again', async () => {
  const running = start(async () => {
    throw new TypeError('x is undefined');
  });
  await positioned();
  deliver(1);
  await expect(running).rejects.toThrow(ConsumerError);
  expect(drops).toEqual(['failed']);
});

test('a stage that cannot prepare ends the consumer with the reason', async () => {
  const running = start(async (_, commit) => commit(), {
    prepare: () => {
      throw new RangeError('bad length');
    },
  });
  await positioned();
  deliver(1);
  await expect(running).rejects.toThrow(/could not be prepared: bad length/);
});

test('somebody who moves the positions again and again is reported', async () => {
  const running = start(async () => 'moved');
  const feeding = setInterval(() => {
    if (intake.positioned && !intake.pending) deliver(1);
  }, 5);
  try {
    await expect(running).rejects.toThrow(/two consumers of different groups/);
  } finally {
    clearInterval(feeding);
  }
});

test('an apply that never ends is a stall', async () => {
  const running = start(() => new Promise<ApplyResult>(() => undefined), { applyMs: 50 });
  await positioned();
  deliver(1);
  await expect(running).rejects.toThrow(StalledError);
});

test('a drop while a batch is applied voids what was prepared ahead', async () => {
  const gate = Promise.withResolvers<void>();
  const running = start(async ({ name }, commit) => {
    if (name === '0-10') await gate.promise;
    return commit();
  });
  await positioned();
  deliver(20);
  await until('prepared ahead', () => events.includes('prepare 10-20'));
  intake.assign([{ topic: 't', partition: 0 }]);
  gate.resolve();
  await until('repositioned after the commit', () => events.includes('position 10'));
  expect(events).not.toContain('apply 10-20');
  writer?.stop();
  await running;
});

test('a stop lets the running apply finish and begins nothing more', async () => {
  const gate = Promise.withResolvers<void>();
  const running = start(async (_, commit) => {
    await gate.promise;
    return commit();
  });
  await positioned();
  deliver(30);
  await until('prepared ahead', () => events.includes('prepare 10-20'));
  writer?.stop();
  gate.resolve();
  await running;
  expect(position).toBe(10);
  expect(events.filter((event) => event.startsWith('apply'))).toEqual(['apply 0-10']);
});

test('with a linger, what comes within it joins the batch', async () => {
  const running = start(async (_, commit) => commit(), { lingerMs: 60 });
  await positioned();
  deliver(1);
  setTimeout(() => deliver(2), 15);
  await until('applied', () => position === 3);
  expect(events).toContain('apply 0-3');
  writer?.stop();
  await running;
});
