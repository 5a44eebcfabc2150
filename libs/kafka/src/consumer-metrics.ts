import type { Metrics } from '@leakage/runtime';
import type { TakenBatch } from './intake.ts';

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const recordBuckets = [1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 20_000];

export interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly lag: number;
}

export type BatchMetrics = ReturnType<typeof batchMetrics>;

export interface ConsumerFigures {
  readonly groupId: string;
  held(): { readonly records: number; readonly bytes: number };
  lags(): readonly PartitionLag[];
}

/** What one consumer tells about itself; `figures` is asked at each scrape. */
export function consumerMetrics(metrics: Metrics, figures: ConsumerFigures): BatchMetrics {
  metrics.gauge({
    name: 'kafka_consumergroup_lag',
    help: 'Readable records that are not applied yet, by owned partition',
    labels: ['consumergroup', 'topic', 'partition'],
    collect: (gauge) => {
      // Partitions that are no longer owned are somebody else's to report.
      gauge.reset();
      for (const { topic, partition, lag } of figures.lags()) {
        gauge.set({ consumergroup: figures.groupId, topic, partition }, lag);
      }
    },
  });
  metrics.gauge({
    name: 'leakage_kafka_buffered_records',
    help: 'Records delivered and not yet taken into a batch',
    collect: (gauge) => gauge.set(figures.held().records),
  });
  metrics.gauge({
    name: 'leakage_kafka_buffered_bytes',
    help: 'Estimated memory of the buffered records',
    collect: (gauge) => gauge.set(figures.held().bytes),
  });
  return batchMetrics(metrics);
}

/** What is told of batches, wherever their records were read from. */
export function batchMetrics(metrics: Metrics) {
  const records = metrics.counter({
    name: 'leakage_kafka_records_total',
    help: 'Records applied',
    labels: ['topic'],
  });
  const holes = metrics.counter({
    name: 'leakage_kafka_holes_total',
    help: 'Offsets passed that hold no record: transaction markers, aborted or compacted records',
    labels: ['topic'],
  });
  const batchRecords = metrics.histogram({
    name: 'leakage_kafka_batch_records',
    help: 'Records in an applied batch',
    buckets: recordBuckets,
  });
  const prepareSeconds = metrics.histogram({
    name: 'leakage_kafka_prepare_seconds',
    help: 'Time to prepare a batch',
    buckets: secondsBuckets,
  });
  const applySeconds = metrics.histogram({
    name: 'leakage_kafka_apply_seconds',
    help: 'Time to apply a batch',
    buckets: secondsBuckets,
  });
  const drops = metrics.counter({
    name: 'leakage_kafka_drops_total',
    help: 'Times that everything held was dropped and the positions were read again, by reason',
    labels: ['reason'],
  });
  return {
    prepared: (seconds: number) => prepareSeconds.observe(seconds),
    applied: (batch: TakenBatch, seconds: number) => {
      applySeconds.observe(seconds);
      batchRecords.observe(batch.records);
      for (const chunk of batch.chunks) {
        records.inc({ topic: chunk.topic }, chunk.records.length);
        if (chunk.holes > 0) holes.inc({ topic: chunk.topic }, chunk.holes);
      }
    },
    dropped: (reason: DropReason) => drops.inc({ reason }),
  };
}

/** Why everything held was dropped. */
export type DropReason = 'assignment' | 'rebalance' | 'moved' | 'unknown' | 'failed' | 'misplaced';
