import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@leakage/testing';
import type { FaultPipeline } from './fault-pipeline.ts';
import { long, report } from './report.ts';

const storiesOfWave = 3;
const pauseMs = 150;
const takenWithinMs = 90_000;
const times = long ? 3 : 1;

export interface Endurance {
  /** The test file, without its ending. */
  readonly kind: string;
  readonly fault: string;
  readonly hurt: () => Promise<unknown>;
  /** Last words with which a process may end. */
  readonly mayEnd?: RegExp;
}

/** Hurts the system while it is fed (in a long run: more often), and gives in words what is wrong afterwards. */
export async function endured(pipeline: FaultPipeline, o: Endurance): Promise<string[]> {
  for (let n = 0; n < times; n++) await whileFed(pipeline, o.hurt);
  const differences = await pipeline.differences(o.mayEnd === undefined ? {} : { mayEnd: o.mayEnd });
  if (differences.length === 0) report({ kind: o.kind, fault: o.fault, times });
  return differences;
}

/** Feeds for as long as `fault` takes, and once more when it is over; what the brokers did not acknowledge is sent again. */
async function whileFed(pipeline: FaultPipeline, fault: () => Promise<unknown>): Promise<void> {
  let over = false;
  const feeding = (async () => {
    do {
      await feed(pipeline);
      await sleep(pauseMs);
    } while (!over);
    await feed(pipeline);
  })();
  feeding.catch(() => undefined); // met below, after the fault
  try {
    await fault();
  } finally {
    over = true;
  }
  await feeding;
}

async function feed({ workload, history }: FaultPipeline): Promise<void> {
  const records = workload.tell(storiesOfWave);
  await eventually(() => history.publish(records).then(() => true), {
    withinMs: takenWithinMs,
    what: 'an acknowledgement of the brokers',
  });
}
