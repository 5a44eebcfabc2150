import type { Metrics } from '@leakage/runtime';

/** What the relay counts. Those who do not relay show no lag: one process of all does. */
export interface RelayMetrics {
  /** `changes`: to be told, over all generations; `oldestAt`: when the oldest of them was written, in epoch milliseconds. */
  waiting(o: { readonly changes: number; readonly oldestAt: number | null }): void;
  told(records: number, ms: number): void;
  failed(): void;
}

export function relayMetrics(metrics: Metrics): RelayMetrics {
  let oldest: number | null = null;
  const lag = metrics.gauge({
    name: 'leakage_changes_lag_rows',
    help: 'Changes in the change log that were not told yet when this process last looked; 0 where another process relays.',
  });
  metrics.gauge({
    name: 'leakage_changes_lag_seconds',
    help: 'Age of the oldest change that is to be told and was not acknowledged yet; 0 where there is none.',
    collect: (gauge) => gauge.set(oldest === null ? 0 : Math.max(0, (Date.now() - oldest) / 1000)),
  });
  const records = metrics.counter({
    name: 'leakage_changes_records_total',
    help: 'Records of the change stream that Kafka has acknowledged, those that were sent again included.',
  });
  const failures = metrics.counter({
    name: 'leakage_changes_failures_total',
    help: 'Attempts to tell changes that failed and are made again.',
  });
  const seconds = metrics.histogram({
    name: 'leakage_changes_step_seconds',
    help: 'Duration of a step, from reading the log to moving the reader.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30],
  });
  return {
    waiting(o) {
      oldest = o.oldestAt;
      lag.set(o.changes);
    },
    told(count, ms) {
      records.inc(count);
      seconds.observe(ms / 1000);
    },
    failed() {
      failures.inc();
    },
  };
}
