import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type FaultServers, startFaultServers } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline } from './support/fault-pipeline.ts';
import { endured } from './support/feeding.ts';
import { anyOf, lastWords } from './support/last-words.ts';

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
    endured(pipeline, { kind: 'broker', fault, hurt, mayEnd: lastWords.brokerGone });

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

  it('silent for good: the watchdog ends a process that would wait for ever', async () => {
    const impatient = { file: 'libs/kafka/src/limits.ts', right: 'stallMs: 90_000', wrong: 'stallMs: 3_000' };
    const watched = pipeline.join('bronze-sink', { edits: [impatient] });
    await watched.ready();
    const stalled = /no fetch from Kafka has completed for 3000 ms: the process has to be restarted/;
    const silence = async () => {
      servers.kafka.pause();
      try {
        await eventually(() => watched.ends.some(({ lastWords }) => stalled.test(lastWords)), { what: 'the watchdog' });
      } finally {
        servers.kafka.resume();
      }
    };
    const differences = await endured(pipeline, {
      kind: 'broker',
      fault: 'silent for good',
      hurt: silence,
      mayEnd: anyOf(stalled, lastWords.brokerGone),
    });
    await pipeline.leave(watched);
    expect(differences).toEqual([]);
  });

  it('away for 20 seconds: whoever gives up says so and is started again', async () => {
    expect(await differencesAfter('away for 20 s', () => servers.kafka.restart(20_000))).toEqual([]);
  });
});
