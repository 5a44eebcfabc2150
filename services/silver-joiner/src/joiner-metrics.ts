import type { Metrics } from '@leakage/runtime';
import type { PreparedBatch } from './prepare.ts';
import { qualityMetrics } from './quality-metrics.ts';
import type { Applied } from './silver-store.ts';

const OUTCOMES = ['accepted', 'superseded', 'duplicates', 'conflicts', 'quarantined'] as const;
const SECONDS = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** What the joiner counts. Everything here is also in the database or can be derived from it. */
export interface JoinerMetrics {
  prepared(batch: PreparedBatch, ms: number): void;
  applied(batch: PreparedBatch, applied: Applied): void;
  rerun(): void;
}

export function joinerMetrics(metrics: Metrics): JoinerMetrics {
  const records = metrics.counter({
    name: 'leakage_silver_records_total',
    help: 'Records by source and outcome.',
    labels: ['source', 'outcome'],
  });
  const quarantined = metrics.counter({
    name: 'leakage_silver_quarantined_total',
    help: 'Reasons of quarantined records; a record can have several.',
    labels: ['source', 'reason'],
  });
  const warnings = metrics.counter({
    name: 'leakage_silver_warnings_total',
    help: 'Warnings of records that were kept; a record can have several.',
    labels: ['source', 'warning'],
  });
  const changes = metrics.counter({
    name: 'leakage_silver_changes_total',
    help: 'Facts changed: rows of the change log.',
  });
  const reruns = metrics.counter({
    name: 'leakage_silver_reruns_total',
    help: 'Batches run again: a correction moved a row away from a shard that was not locked, or another process stored a record meanwhile.',
  });
  const misrouted = metrics.counter({
    name: 'leakage_silver_misrouted_total',
    help: "Records in another partition than their member's shard: right, but slower.",
  });
  const steps = metrics.histogram({
    name: 'leakage_silver_step_seconds',
    help: 'Time per batch and step.',
    labels: ['step'],
    buckets: SECONDS,
  });
  const quality = qualityMetrics(metrics);
  return {
    prepared(_batch, ms) {
      steps.observe({ step: 'prepare' }, ms / 1000);
    },
    applied(batch, applied) {
      applied.outcomes.forEach((counts, i) => {
        const source = batch.lanes[i]?.source ?? 'unknown';
        for (const outcome of OUTCOMES) if (counts[outcome] > 0) records.inc({ source, outcome }, counts[outcome]);
      });
      for (const { source, reasons } of batch.quarantined) {
        for (const reason of reasons) quarantined.inc({ source, reason: bounded(reason) });
      }
      for (const { source, warnings: counts } of Object.values(batch.quality)) {
        for (const [warning, count] of counts) warnings.inc({ source, warning }, count);
      }
      quality.applied(batch.quality, applied.settled);
      changes.inc(applied.changes);
      misrouted.inc(batch.misrouted);
      for (const [step, ms] of applied.stepsMs) steps.observe({ step }, ms / 1000);
    },
    rerun() {
      reruns.inc();
    },
  };
}

/** A label must not take a producer's word for its value: the id of a schema can be any number (law 10). */
function bounded(reason: string): string {
  const [, named] = /^(unknown_schema_id|incompatible_schema):/.exec(reason) ?? [];
  return named ?? reason;
}
