import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { addressOf } from './support/api-client.ts';
import { underLoad } from './support/live.ts';
import type { BenchOptions } from './support/options.ts';
import { untilDone } from './support/progress.ts';
import type { Result } from './support/report.ts';

const path = '/v1/daily-leakage-summary';
const connections = 50;
const burstSeconds = 10;
const flowing = 5_000;
const asked = 1_000;
const least = { ok: 25_000, notModified: 40_000 };
const tailMs = 20;
const emptyRoute = fileURLToPath(new URL('load/empty-route.ts', import.meta.url));

/** How many answers a second, and how late the slowest hundredth, of one api process. */
export async function api({ seconds, say }: BenchOptions): Promise<Result> {
  const empty = await emptyRouteRate();
  const { found } = await underLoad(
    { rate: flowing, seconds: Math.max(seconds, 30), say },
    async ({ stack, api: process, feed }) => {
      const url = `${addressOf(process)}${path}`;
      const duration = Math.max(seconds, 30) - 5;
      const flow = await autocannon({ url, connections, duration, overallRate: asked });
      await feed.done;
      // Where nothing comes in, nothing changes.
      await untilDone(stack, { records: await stack.topicRecords(), limitMs: 120_000, say });
      const etag = (await fetch(url)).headers.get('etag') ?? '';
      const ok = await autocannon({ url, connections, duration: burstSeconds });
      const notModified = await autocannon({
        url,
        connections,
        duration: burstSeconds,
        headers: { 'if-none-match': etag },
      });
      return { flow, ok, notModified };
    },
  );
  const { flow, ok, notModified } = found;
  for (const { errors, non2xx } of [ok, flow]) if (errors + non2xx > 0) throw new Error('the api gave errors');
  if (notModified['2xx'] > 0) throw new Error('an unchanged answer was sent again');
  return {
    name: 'api',
    tables: [
      {
        title: `GET ${path}, one process, ${connections} connections`,
        columns: ['', 'requests/s', 'p50 ms', 'p99 ms', 'of an empty route'],
        rows: [
          ['an empty Fastify route', empty, null, null, null],
          ['200, kept ready', ok.requests.average, ok.latency.p50, ok.latency.p99, ok.requests.average / empty],
          [
            '304',
            notModified.requests.average,
            notModified.latency.p50,
            notModified.latency.p99,
            notModified.requests.average / empty,
          ],
          [
            `${asked}/s asked while ${flowing} records/s flow in`,
            flow.requests.average,
            flow.latency.p50,
            flow.latency.p99,
            null,
          ],
        ],
      },
    ],
    verdicts: [
      {
        met: ok.requests.average >= least.ok,
        sentence: `at least ${least.ok.toLocaleString('en-US')} answers a second from memory`,
      },
      {
        met: notModified.requests.average >= least.notModified,
        sentence: `at least ${least.notModified.toLocaleString('en-US')} a second where nothing has changed`,
      },
      {
        met: flow.latency.p99 <= tailMs,
        sentence: `p99 at most ${tailMs} ms at ${asked}/s while ${flowing} records a second flow in`,
      },
    ],
  };
}

async function emptyRouteRate(): Promise<number> {
  const server = fork(emptyRoute);
  const [url] = (await once(server, 'message')) as [string];
  const { requests } = await autocannon({ url, connections, duration: burstSeconds });
  server.disconnect();
  return requests.average;
}
