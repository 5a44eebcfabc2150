// Generations with other rules beside the first one, over the same topics: what differs, priced, and why.

import type { DiffReport } from '@leakage/diff';
import type { OutgoingRecord } from '@leakage/kafka';
import { contracts, type Source, topicName } from '@leakage/schemas';
import { call, journey, profile } from '@leakage/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Installation, newInstallation } from '../cli/src/testing/installation.ts';
import { type Pipeline, pipelineOn } from './support/pipeline.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 300_000 });

const minute = 60_000;
const day = 24 * 60 * minute;
/** 10:00 in New York: far from any midnight. */
const monday = Date.parse('2026-03-02T15:00:00Z');
const days = ['2026-03-02', '2026-03-03', '2026-03-04'] as const;

const journeys = [
  { type: 'billing', reason: 'billing_question' },
  { type: 'id_card', reason: 'id_card_request' },
  { type: 'pharmacy', reason: 'rx_coverage' },
] as const;
const segments = [
  { name: 'MAPD New', profile: { plan_type: 'MAPD', segment: 'new' } },
  { name: 'MAPD Tenured', profile: { plan_type: 'MAPD', segment: 'tenured' } },
  { name: 'Commercial', profile: { plan_type: 'Commercial', segment: 'new' } },
  { name: 'Unknown', profile: null },
] as const;
/** From a failure to the call: both ends of both windows, and a millisecond beyond each. */
const waits = [5 * minute, 30 * minute, 30 * minute + 1, 38 * minute, 45 * minute, 45 * minute + 1, 60 * minute];

interface Story {
  readonly nr: number;
  readonly day: (typeof days)[number];
  readonly journey: (typeof journeys)[number];
  readonly segment: (typeof segments)[number];
  readonly waitMs: number;
}

const at = <T>(list: readonly T[], nr: number): T => list[nr % list.length] as T;
/** 84 members, so that every wait meets every journey and segment, each of whom fails once and calls once about it. */
const stories: readonly Story[] = Array.from({ length: 252 }, (_, nr) => ({
  nr,
  day: at(days, Math.floor(nr / 84)),
  journey: at(journeys, nr),
  segment: at(segments, nr),
  waitMs: at(waits, nr),
}));

/** What must come out, counted from the stories themselves. */
const charged = (minutes: number, which: (story: Story) => boolean = () => true) =>
  stories.filter((story) => which(story) && story.waitMs <= minutes * minute).length;

let it: Installation;
let pipeline: Pipeline;

const record = (source: Source, key: string, value: Buffer): OutgoingRecord => ({
  topic: topicName(pipeline.prefix, source),
  key,
  value,
});
const failed = (event: Parameters<typeof journey>[0]) =>
  record('journeys', event?.member_id ?? '', contracts.journeys.encode(journey(event)));
const called = (event: Parameters<typeof call>[0]) =>
  record('calls', event?.member_id ?? '', contracts.calls.encode(call(event)));

function told(story: Story): OutgoingRecord[] {
  const member_id = `member ${story.nr}`;
  const begin = monday + days.indexOf(story.day) * day + story.nr * 1_000;
  return [
    ...(story.segment.profile === null
      ? []
      : [record('members', member_id, contracts.members.encode(profile({ member_id, ...story.segment.profile })))]),
    failed({
      member_id,
      session_id: `session ${story.nr}`,
      event_id: `event ${story.nr}`,
      timestamp: begin,
      journey_type: story.journey.type,
      action: story.nr % 2 === 0 ? 'error' : 'abandon',
    }),
    called({
      member_id,
      call_id: `call ${story.nr}`,
      call_timestamp: begin + story.waitMs,
      call_reason: story.journey.reason,
    }),
  ];
}

/** What gives every shard a watermark on the fourth day: whoever told a story looks at a page, and calls about benefits. */
function fourthDay(): OutgoingRecord[] {
  return stories.flatMap(({ nr }) => {
    const member_id = `member ${nr}`;
    const timestamp = monday + 3 * day;
    return [
      failed({ member_id, session_id: `later ${nr}`, event_id: `later ${nr}`, timestamp, action: 'page_view' }),
      called({ member_id, call_id: `later ${nr}`, call_timestamp: timestamp, call_reason: 'benefits_question' }),
    ];
  });
}

/** Computes a generation to the end of what there is, with the real processes, and stops. */
async function compute(generation: number, rules: Readonly<Record<string, string>>): Promise<void> {
  const env = { GENERATION: String(generation), ...rules };
  const processes = await Promise.all(
    (['silver-joiner', 'gold-aggregator'] as const).map((name) => pipeline.start(name, { env })),
  );
  await pipeline.drained(90_000, [generation]);
  for (const one of processes) expect(await one.stop()).toBe(0);
}

async function diff(words: readonly string[]): Promise<DiffReport> {
  const { code, out, problems } = await it.leakage(['diff', ...words, '--json']);
  expect(problems).not.toContain('Error');
  expect(code).toBe(0);
  return JSON.parse(out) as DiffReport;
}

/** Laws of every report: totals are the sums of their parts, and the causes explain the whole difference. */
function expectSums(report: DiffReport): void {
  for (const [metric, total] of Object.entries(report.totals)) {
    for (const parts of [report.journeys, report.segments, report.byDay]) {
      const of = (side: 'a' | 'b') =>
        parts.reduce((sum, part) => sum + part.figures[metric as keyof typeof part.figures][side], 0);
      expect([metric, of('a'), of('b')]).toEqual([metric, total.a, total.b]);
    }
    const differences = report.differences.filter((one) => one.metric === metric);
    expect([metric, differences.reduce((sum, one) => sum + one.difference, 0)]).toEqual([metric, total.difference]);
    expect(total.cents === null || total.cents === total.difference * 800).toBe(true);
  }
  const explained = report.causes.reduce((sum, one) => sum + one.difference, 0);
  const repeats = report.causes.reduce((sum, one) => sum + one.repeatDifference, 0);
  expect([explained, repeats]).toEqual([
    report.totals.leakageCalls.difference,
    report.totals.allRepeatCalls.difference,
  ]);
}

beforeAll(async () => {
  it = await newInstallation();
  pipeline = await pipelineOn({ url: it.url, drop: it.stop, prefix: it.topicPrefix });
  await Promise.all((['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const).map((name) => pipeline.start(name)));
  await pipeline.feed([...stories.flatMap(told), ...fourthDay()]);
  await compute(2, { LEAKAGE_WINDOW_MINUTES: '45' });
});
afterAll(async () => await pipeline.stop());

test('45 minutes instead of 30: per day, journey and segment what the stories say, every call for its window', async () => {
  const report = await diff(['1', '2']);
  const more = charged(45) - charged(30);
  expect(more).toBeGreaterThan(100);
  expect(report.totals.leakageCalls).toEqual({
    a: charged(30),
    b: charged(45),
    difference: more,
    cents: more * 800,
  });
  for (const { name } of segments) {
    const part = report.segments.find((one) => one.of === name)?.figures.leakageCalls;
    const of = (story: Story) => story.segment.name === name;
    expect([name, part?.a, part?.b]).toEqual([name, charged(30, of), charged(45, of)]);
  }
  for (const { type } of journeys) {
    const part = report.journeys.find((one) => one.of === type)?.figures;
    const of = (story: Story) => story.journey.type === type;
    expect([type, part?.leakageCalls.a, part?.leakageCalls.b]).toEqual([type, charged(30, of), charged(45, of)]);
    // Each member has one journey, which leaks if its call is charged.
    expect(part?.leakedJourneys.b).toBe(charged(45, of));
  }
  for (const one of days) {
    const part = report.byDay.find(({ of }) => of === one)?.figures.leakageCalls;
    const of = (story: Story) => story.day === one;
    expect([one, part?.a, part?.b]).toEqual([one, charged(30, of), charged(45, of)]);
  }
  expectSums(report);
  expect(report.rules).toEqual([{ rule: 'window', a: '30 minutes', b: '45 minutes' }]);
  expect(report.causes).toEqual([
    expect.objectContaining({ cause: 'window', calls: more, onlyA: 0, onlyB: more, cents: more * 800 }),
  ]);
  expect(report.notes).toEqual([]);
  expect(report.days).toMatchObject({ because: [] });
  expect(report.equal).toBe(false);

  const dearer = await diff(['1', '2', '--cost', '9.50']);
  expect(dearer.totals.leakageCalls).toEqual({ ...report.totals.leakageCalls, cents: more * 950 });
  expect(dearer.notes).toEqual([
    expect.stringContaining('a call costs $9.50 as asked, where ops.parameter says $8.00'),
  ]);
});
