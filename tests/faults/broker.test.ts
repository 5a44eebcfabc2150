import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultServers, startFaultServers } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline } from './support/fault-pipeline.ts';
import { endured } from './support/feeding.ts';

/** With a single broker kafkajs has nobody left to ask while it is away: the process ends, and is started again. */
const mayEnd =
  /the Kafka consumer of group \S+ ended: .*; the process has to be restarted|Kafka does not answer at .*: start it, or set/;
/** The members of FaultPipeline have sessions of 2 s. */
const longerThanSessionMs = 5_000;

describe('a broker in trouble while records are being fed', { timeout: 300_000 }, () => {
  let servers: FaultServers;
  let pipeline: FaultPipeline;
  beforeAll(async () => {
    servers = await startFaultServers();
    pipeline = await FaultPipeline.start({ servers, seed: 3 });
  });
  afterAll(async () => {
    await pipeline?.stop();
    await servers?.stop();
  });

  const differencesAfter = (fault: string, hurt: () => Promise<unknown>): Promise<string[]> =>
    endured(pipeline, { kind: 'broker', fault, hurt, mayEnd });

  it('restarted in order', async () => {
    expect(await differencesAfter('restart', () => servers.kafka.restart())).toEqual([]);
  });

  it('killed with -9 and started again', async () => {
    expect(await differencesAfter('kill -9', () => servers.kafka.killAndStart())).toEqual([]);
  });

  it('paused for longer than a session, and resumed', async () => {
    const pause = async () => {
      servers.kafka.pause();
      await sleep(longerThanSessionMs);
      servers.kafka.resume();
    };
    expect(await differencesAfter('pause', pause)).toEqual([]);
  });

  it('away for 20 seconds: whoever gives up says so and is started again', async () => {
    expect(await differencesAfter('away for 20 s', () => servers.kafka.restart(20_000))).toEqual([]);
  });
});
