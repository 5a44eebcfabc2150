import { setTimeout as sleep } from 'node:timers/promises';
import { type Cut, eventually, type FaultServers, startFaultServers } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline, type Stage, stages } from './support/fault-pipeline.ts';
import { endured } from './support/feeding.ts';
import { lastWords } from './support/last-words.ts';

describe('Postgres in trouble while records are being fed', { timeout: 300_000 }, () => {
  let servers: FaultServers;
  let pipeline: FaultPipeline;
  beforeAll(async () => {
    servers = await startFaultServers();
    pipeline = await FaultPipeline.start({ servers, seed: 2 });
  });
  afterAll(async () => {
    await pipeline?.stop();
    await servers?.stop();
  });

  const differencesAfter = (fault: string, hurt: () => Promise<unknown>, mayEnd?: RegExp): Promise<string[]> =>
    endured(pipeline, { kind: 'postgres', fault, hurt, ...(mayEnd === undefined ? {} : { mayEnd }) });

  it('restarted in order', async () => {
    expect(await differencesAfter('restart', () => servers.postgres.restart())).toEqual([]);
  });

  it('killed with -9 and started again', async () => {
    expect(await differencesAfter('kill -9', () => servers.postgres.killAndStart())).toEqual([]);
  });

  it('paused as a whole, and resumed', async () => {
    const pause = async () => {
      servers.postgres.pause();
      await sleep(3_000);
      servers.postgres.resume();
    };
    expect(await differencesAfter('pause', pause)).toEqual([]);
  });

  it.each(stages)('the backend of %s paused in the middle of its work, and resumed', async (stage) => {
    const pause = async () => {
      const pid = await eventually(() => busyBackend(stage), { everyMs: 5, what: `${stage} to be in a transaction` });
      process.kill(pid, 'SIGSTOP');
      await sleep(1_500);
      process.kill(pid, 'SIGCONT');
    };
    expect(await differencesAfter(`backend of ${stage} paused`, pause)).toEqual([]);
  });

  it('all backends terminated, again and again', async () => {
    const terminate = async () => {
      for (let n = 0; n < 8; n++) {
        await pipeline.pipeline.pool.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()`,
        );
        await sleep(150);
      }
    };
    expect(await differencesAfter('backends terminated', terminate)).toEqual([]);
  });

  const cuts: readonly (readonly [Cut, readonly Stage[]])[] = [
    ['in COPY', ['bronze-sink', 'silver-joiner']],
    ['before COMMIT', stages],
    ['after COMMIT', stages],
  ];
  it.each(cuts)('connections cut %s', async (cut, those) => {
    const cutAll = () => Promise.all(those.map((stage) => pipeline.proxy.cutNext(cut, stage)));
    expect(await differencesAfter(`cut ${cut}`, cutAll)).toEqual([]);
  });

  it('every connection cut, at any moment', async () => {
    const cutAll = async () => {
      for (let n = 0; n < 12; n++) {
        await sleep(20 + 37 * ((n * 5) % 12));
        pipeline.proxy.cutAll();
      }
    };
    expect(await differencesAfter('everything cut', cutAll)).toEqual([]);
  });

  it('away for 20 seconds: whoever gives up says so and is started again', async () => {
    expect(
      await differencesAfter('away for 20 s', () => servers.postgres.restart(20_000), lastWords.postgresGone),
    ).toEqual([]);
  });

  async function busyBackend(stage: Stage): Promise<number | undefined> {
    const { rows } = await pipeline.pipeline.pool.query<{ pid: number }>(
      `select pid from pg_stat_activity
        where datname = current_database() and application_name = $1 and xact_start is not null order by pid limit 1`,
      [stage],
    );
    return rows[0]?.pid;
  }
});
