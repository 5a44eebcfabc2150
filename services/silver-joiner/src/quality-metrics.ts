import type { Metrics } from '@leakage/runtime';
import type { Source } from '@leakage/schemas';
import { EXPECTATIONS, type Expectation } from './domain/expectations.ts';
import { COUNTED, type QualityTally, type Settled, scores } from './domain/quality.ts';

const SOURCES = ['journeys', 'calls', 'members'] as const satisfies readonly Source[];
const DELAY_SECONDS = [1, 5, 15, 30, 60, 120, 300, 900, 1800, 3600, 21_600, 86_400];

export interface QualityMetrics {
  /** Once per batch, after its commit. */
  applied(quality: Readonly<Record<Source, QualityTally>>, settled: Readonly<Record<Source, Settled>>): void;
}

/** The data quality rules as figures: what was checked, what broke a rule, and from which share on that is trouble. */
export function qualityMetrics(metrics: Metrics): QualityMetrics {
  const checked = metrics.counter({
    name: 'leakage_quality_checked_total',
    help: 'Records that a data quality rule looked at.',
    labels: ['source', 'rule'],
  });
  const violations = metrics.counter({
    name: 'leakage_quality_violations_total',
    help: 'Records of these that break the rule.',
    labels: ['source', 'rule'],
  });
  const delay = metrics.histogram({
    name: 'leakage_quality_delay_seconds',
    help: 'How old first versions of events were when they were sent.',
    labels: ['source'],
    buckets: DELAY_SECONDS,
  });
  const emitted = metrics.gauge({
    name: 'leakage_quality_newest_emitted_timestamp_seconds',
    help: 'When the newest record was sent.',
    labels: ['source'],
  });
  const watermark = metrics.gauge({
    name: 'leakage_quality_watermark_timestamp_seconds',
    help: 'The greatest event time among the records that this process has applied.',
    labels: ['source'],
  });
  publishThresholds(metrics);
  // A rule that was never broken must be there as 0, else no share of it can be asked for.
  for (const source of SOURCES) {
    for (const { id: rule } of COUNTED[source]) {
      checked.inc({ source, rule }, 0);
      violations.inc({ source, rule }, 0);
    }
  }
  const newest = { emitted: new Map<Source, number>(), watermark: new Map<Source, number>() };
  const raise = (gauge: typeof emitted, known: Map<Source, number>, source: Source, ms: number): void => {
    if (ms <= (known.get(source) ?? Number.NEGATIVE_INFINITY)) return;
    known.set(source, ms);
    gauge.set({ source }, ms / 1000);
  };

  return {
    applied(quality, settled) {
      for (const source of SOURCES) {
        const tally = quality[source];
        if (tally.received === 0) continue;
        for (const score of scores(tally, settled[source])) {
          const labels = { source, rule: score.rule.id };
          checked.inc(labels, score.checked);
          violations.inc(labels, score.violations);
        }
        for (const ms of tally.delaysMs) delay.observe({ source }, ms / 1000);
        raise(emitted, newest.emitted, source, tally.newestEmittedAt);
        raise(watermark, newest.watermark, source, tally.watermark);
      }
    },
  };
}

/** Constants, so that a question to the metrics need not repeat them. */
function publishThresholds(metrics: Metrics): void {
  const labels = ['rule', 'severity'] as const;
  const share = metrics.gauge({
    name: 'leakage_quality_threshold_ratio',
    help: 'The share of violations above which a rule warns or fails.',
    labels,
  });
  const seconds = metrics.gauge({
    name: 'leakage_quality_threshold_seconds',
    help: 'The age above which a rule about time warns or fails.',
    labels,
  });
  const rules: readonly Expectation[] = EXPECTATIONS;
  for (const { id: rule, measure, warnIf, failIf } of rules) {
    if (measure !== 'share' && measure !== 'seconds') continue;
    const gauge = measure === 'share' ? share : seconds;
    if (warnIf !== null) gauge.set({ rule, severity: 'warn' }, warnIf);
    if (failIf !== null) gauge.set({ rule, severity: 'fail' }, failIf);
  }
}
