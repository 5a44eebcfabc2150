import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

test('counters, gauges and histograms appear in the text format', async () => {
  const metrics = new Metrics();
  metrics.counter({ name: 'records_total', help: 'Records.', labels: ['outcome'] }).inc({ outcome: 'accepted' }, 3);
  metrics.gauge({ name: 'queue_records', help: 'Waiting.', collect: (gauge) => gauge.set(7) });
  metrics.histogram({ name: 'batch_seconds', help: 'Time.', buckets: [0.1, 1] }).observe(0.5);
  const text = await metrics.text();
  expect(text).toContain('records_total{outcome="accepted"} 3');
  expect(text).toContain('queue_records 7');
  expect(text).toContain('batch_seconds_bucket{le="1"} 1');
});

test('asking twice for a name gives the same metric, and two processes in one test do not share', async () => {
  const metrics = new Metrics();
  metrics.counter({ name: 'a_total', help: 'A.' }).inc();
  metrics.counter({ name: 'a_total', help: 'A.' }).inc();
  expect(await metrics.text()).toContain('a_total 2');
  expect(await new Metrics().text()).not.toContain('a_total');
});
