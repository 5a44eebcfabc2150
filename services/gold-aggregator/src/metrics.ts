import type { Metrics } from '@leakage/runtime';

export function goldMetrics(metrics: Metrics) {
  return {
    lag: metrics.gauge({
      name: 'leakage_gold_lag_rows',
      help: 'Rows of the change log that were not in gold when this process last looked.',
    }),
    folds: metrics.counter({
      name: 'leakage_gold_folds_total',
      help: 'Attempts to fold, by outcome.',
      labels: ['outcome'],
    }),
    rows: metrics.counter({ name: 'leakage_gold_folded_rows_total', help: 'Rows of the change log that were folded.' }),
    cells: metrics.counter({ name: 'leakage_gold_cells_written_total', help: 'Cube cells that folds changed.' }),
    seconds: metrics.histogram({
      name: 'leakage_gold_fold_seconds',
      help: 'Duration of a fold, from looking to the answer to COMMIT.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    }),
  };
}
