import { sleep } from '@leakage/runtime';
import type { ServiceProcess } from '@leakage/testing/service-process';
import { probeDay, probeErrorCode, probeJourneyType } from '../load/probes.ts';

/** Where the api listens, as it says itself. */
export function addressOf(api: ServiceProcess): string {
  const address = /"address":"(http:[^"]+)"/.exec(api.output())?.[1];
  if (address === undefined) throw new Error('the api has not said where it listens');
  return address;
}

/** Asking more often would take from the pipeline the cores that it is measured on; the wait counts as lateness. */
const pollMs = 10;

/** Asks the api, a hundred times a second, how many probes it shows; notes when it first showed the nth. Epoch milliseconds. */
export class ProbeReader {
  readonly readAt: number[] = [];
  readonly #url: string;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(address: string) {
    const query = new URLSearchParams({
      leakage_type: probeJourneyType,
      error_code: probeErrorCode,
      from: probeDay,
      to: probeDay,
    });
    this.#url = `${address}/v1/root-cause-analysis?${query.toString()}`;
    this.#running = this.#run();
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(20_000) });
      if (!answer.ok) throw new Error(`the api answered ${answer.status}: ${await answer.text()}`);
      const { rows } = (await answer.json()) as { rows: { leakage_count: number }[] };
      const seen = rows.reduce((sum, row) => sum + row.leakage_count, 0);
      const now = performance.timeOrigin + performance.now();
      while (this.readAt.length < seen) this.readAt.push(now);
      await sleep(pollMs);
    }
  }
}
