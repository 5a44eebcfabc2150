import type { KafkaRecord, PartitionChunk } from '@leakage/kafka';
import { Erased, memberHash } from '@leakage/postgres';
import type { Reading } from '@leakage/registry';
import { Metrics } from '@leakage/runtime';
import { type Contract, contracts, type LearningReader, type Source, shardOf } from '@leakage/schemas';
import { call, journey, profile } from '@leakage/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EXPECTATIONS, type Expectation, type RuleId } from './domain/expectations.ts';
import { COUNTED, type QualityTally, ruleOfReason, ruleOfWarning, type Settled, scores } from './domain/quality.ts';
import { DEFAULT_RULES, openRuleBook } from './domain/rules.ts';
import { RecordJudge } from './judge.ts';
import { type PreparedBatch, type PrepareOptions, prepareBatch } from './prepare.ts';
import { qualityMetrics } from './quality-metrics.ts';
import { BatchEncoder } from './staging.ts';

const NOW = Date.UTC(2026, 2, 2, 15);
const DAY = 86_400_000;
const TOO_FAR = 1e15;
const LONG = 'x'.repeat(201);
const SOURCES = ['journeys', 'calls', 'members'] as const;
const RULES: readonly Expectation[] = EXPECTATIONS;
const book = openRuleBook(DEFAULT_RULES, shardOf);
/** The member `gone` was erased. */
const GONE = new Erased('k'.repeat(32), memberHash('k'.repeat(32), 'gone'));

/** What silver-joiner does with these values of one topic before it reads state. */
async function prepared(
  source: Source,
  values: readonly (Buffer | null)[],
  o: Partial<Pick<PrepareOptions, 'again' | 'losses'>> & {
    readonly horizon?: number | null;
    readonly untoldBefore?: number;
    readonly quarantineKeptFrom?: number;
    readonly erased?: 'everything';
  } = {},
): Promise<PreparedBatch> {
  const { horizon = null, again = false, losses = [], erased = null } = o;
  const records = values.map(
    (value, offset): KafkaRecord => ({
      topic: source,
      partition: 0,
      offset,
      timestampMs: NOW,
      key: null,
      value,
      headers: null,
      erased,
    }),
  );
  const chunk: PartitionChunk = {
    topic: source,
    partition: 0,
    expectedOffset: 0,
    nextOffset: records.length,
    lastOffset: records.length - 1,
    lastFingerprint: 0,
    holes: 0,
    records,
  };
  return await prepareBatch(
    [chunk],
    {
      book,
      policy: {
        version: 1,
        refusedBefore: horizon,
        untoldBefore: o.untoldBefore ?? null,
        quarantineKeptFrom: o.quarantineKeptFrom ?? null,
        erased: GONE,
      },
      sourceOf: () => source,
      reading,
      losses,
      again,
    },
    new BatchEncoder(),
  );
}

/** As a registry may have it: the contracts under their ids, and something else under 98. */
function taught<T>(contract: Contract<T>): LearningReader<T> {
  const reader = contract.learningReader();
  for (const { id, schema } of contract.versions) reader.learn(id, schema);
  reader.learn(98, 'string');
  return reader;
}
const { journeys, calls, members } = contracts;
const readers = { journeys: taught(journeys), calls: taught(calls), members: taught(members) };
const reading: Reading = { readers, learn: async () => undefined };

type Fields<S extends Source> = Parameters<
  { journeys: typeof journey; calls: typeof call; members: typeof profile }[S]
>[0];
const eventOf = {
  journeys: (fields: Fields<'journeys'>) =>
    journey({ timestamp: NOW, emitted_at: NOW, action: 'page_view', error_code: null, ...fields }),
  calls: (fields: Fields<'calls'>) => call({ call_timestamp: NOW, emitted_at: NOW, ...fields }),
  members: (fields: Fields<'members'>) => profile({ emitted_at: NOW, ...fields }),
};
const journeyBytes = (fields: Fields<'journeys'>) => contracts.journeys.encode(eventOf.journeys(fields));
const callBytes = (fields: Fields<'calls'>) => contracts.calls.encode(eventOf.calls(fields));
const memberBytes = (fields: Fields<'members'>) => contracts.members.encode(eventOf.members(fields));
const valid: Readonly<Record<Source, Buffer>> = {
  journeys: journeyBytes({}),
  calls: callBytes({}),
  members: memberBytes({}),
};

/** A valid record as plain JSON with some fields set to anything. */
function json(source: Source, fields: Record<string, unknown>): Buffer {
  const event =
    source === 'journeys' ? eventOf.journeys({}) : source === 'calls' ? eventOf.calls({}) : eventOf.members({});
  return Buffer.from(JSON.stringify({ ...event, ...fields }));
}

const header = (schemaId: number) => Buffer.from([0, 0, 0, 0, schemaId]);
const broken = (value: Buffer) => ({
  null_value: null,
  empty: Buffer.alloc(0),
  unknown_format: Buffer.from('hello'),
  truncated: value.subarray(0, 12),
  trailing_bytes: Buffer.concat([value, Buffer.from([0])]),
  'unknown_schema_id:99': header(99),
  'incompatible_schema:98': header(98),
  'avro:union_index': Buffer.concat([value.subarray(0, 5), Buffer.from([0x7e]), value.subarray(6)]),
  json: Buffer.from('{'),
});
const misread = (source: Source) => ({
  ...broken(valid[source]),
  'type:member_id': json(source, { member_id: 7 }),
  'nul:member_id': json(source, { member_id: 'a\0' }),
  'utf8:member_id': json(source, { member_id: '\ud800' }),
});

/** Per source and reason, a record that is quarantined for this reason and no other. */
const refused: Readonly<Record<Source, Readonly<Record<string, Buffer | null>>>> = {
  journeys: {
    ...misread('journeys'),
    'missing:member_id': journeyBytes({ member_id: null }),
    'missing:session_id': journeyBytes({ session_id: '' }),
    'missing:timestamp': journeyBytes({ timestamp: null }),
    'missing:journey_type': journeyBytes({ journey_type: ' ' }),
    'missing:action': journeyBytes({ action: null }),
    'too_long:event_id': journeyBytes({ event_id: LONG }),
    'too_long:member_id': journeyBytes({ member_id: LONG }),
    'too_long:session_id': journeyBytes({ session_id: LONG }),
    'unknown:journey_type': journeyBytes({ journey_type: 'dental' }),
    'unknown:action': journeyBytes({ action: 'swipe' }),
    timestamp_range: journeyBytes({ timestamp: Date.UTC(1999, 0), emitted_at: Date.UTC(1999, 0) }),
    'timestamp_range:timestamp': json('journeys', { timestamp: TOO_FAR }),
    future: journeyBytes({ timestamp: NOW + DAY }),
    emitted_in_future: journeyBytes({ emitted_at: NOW + DAY }),
    beyond_retention: journeyBytes({ timestamp: Date.UTC(2005, 0), emitted_at: NOW }),
    erased: journeyBytes({ member_id: 'gone' }),
  },
  calls: {
    ...misread('calls'),
    'missing:call_id': callBytes({ call_id: '' }),
    'missing:call_timestamp': callBytes({ call_timestamp: null }),
    'too_long:call_id': callBytes({ call_id: LONG }),
    'too_long:member_id': callBytes({ member_id: LONG }),
    unidentified: callBytes({ member_id: null }),
    timestamp_range: callBytes({ call_timestamp: Date.UTC(1999, 0), emitted_at: Date.UTC(1999, 0) }),
    'timestamp_range:call_timestamp': json('calls', { call_timestamp: TOO_FAR }),
    future: callBytes({ call_timestamp: NOW + DAY }),
    emitted_in_future: callBytes({ emitted_at: NOW + DAY }),
    beyond_retention: callBytes({ call_timestamp: Date.UTC(2005, 0), emitted_at: NOW }),
    erased: callBytes({ member_id: 'gone' }),
  },
  members: {
    ...misread('members'),
    'missing:member_id': memberBytes({ member_id: null }),
    'too_long:member_id': memberBytes({ member_id: LONG }),
    'missing:plan_type': memberBytes({ plan_type: null }),
    'unknown:plan_type': memberBytes({ plan_type: 'PPO' }),
    'missing:segment': memberBytes({ segment: '' }),
    'unknown:segment': memberBytes({ segment: 'old' }),
    'missing:tenure_months': memberBytes({ tenure_months: null }),
    'range:tenure_months': memberBytes({ tenure_months: -1 }),
    'missing:enrollment_date': memberBytes({ enrollment_date: null }),
    'future:enrollment_date': memberBytes({ enrollment_date: '2026-03-03' }),
    'timestamp_range:valid_from': json('members', { valid_from: TOO_FAR }),
    erased: memberBytes({ member_id: 'gone' }),
  },
};

/** Per source and warning, a record that is kept with this warning and no other. */
const warned: Readonly<Record<Source, Readonly<Record<string, Buffer>>>> = {
  journeys: {
    'D2:device_type': journeyBytes({ device_type: 'fridge' }),
    'D3:old': journeyBytes({ timestamp: NOW - 30 * DAY - 1, revision: 1 }),
    'S3:late': journeyBytes({ timestamp: NOW - 3_600_001 }),
    'D4:missing_error_code': journeyBytes({ action: 'error' }),
    'D4:unknown_error_code': journeyBytes({ error_code: 'ERR_X' }),
    'S4:unknown_fields': json('journeys', { screen: 'home' }),
  },
  calls: {
    'D3:old': callBytes({ call_timestamp: NOW - 30 * DAY - 1, revision: 1 }),
    'S3:late': callBytes({ call_timestamp: NOW - 3_600_001 }),
    'C3:clamped': callBytes({ sentiment_score: -1.05 }),
    'C3:sentiment_score': callBytes({ sentiment_score: 1.06 }),
    'C4:handle_time_seconds': callBytes({ handle_time_seconds: 14_401 }),
    'C5:call_reason': callBytes({ call_reason: null }),
    'type:sentiment_score': json('calls', { sentiment_score: 'good' }),
    'type:handle_time_seconds': json('calls', { handle_time_seconds: 12.5 }),
    'S4:unknown_fields': json('calls', { queue: 7 }),
  },
  members: {
    'P2:segment': memberBytes({ segment: 'new', tenure_months: 13 }),
    'S4:unknown_fields': json('members', { email: 'x' }),
  },
};

/** The names that the rules of a source declare. */
function namesOf(source: Source, kind: 'reasons' | 'warnings'): string[] {
  const rules = RULES.filter((rule) => rule.sources.includes(source));
  return rules.flatMap((rule) => (kind === 'reasons' ? rule.reasons : [...rule.warnings, ...rule.tolerated]));
}
/** As it is declared: by its name, or by the part before the colon. */
const declared = (name: string, names: readonly string[]) => (names.includes(name) ? name : name.replace(/:.*/s, ':*'));

const nothingSettled: Settled = { duplicates: 0, conflicts: 0, lookedUp: { checked: 0, unknown: 0 } };
const listed = <T>(examples: Readonly<Record<Source, Readonly<Record<string, T>>>>) =>
  SOURCES.flatMap((source) =>
    Object.entries(examples[source]).map(([name, value]) => ({ source, name, value, horizon: horizonOf(name) })),
  );
const horizonOf = (name: string) => (name === 'beyond_retention' ? Date.UTC(2010, 0) : null);

/** Rule -> [checked, violations] of the rules that looked at anything. */
function counted(tally: QualityTally, settled = nothingSettled): Partial<Record<RuleId, [number, number]>> {
  return Object.fromEntries(
    scores(tally, settled).map(({ rule, checked, violations }) => [rule.id, [checked, violations]]),
  );
}

describe('the rules', () => {
  it('have the ids of their table, each once', () => {
    expect(EXPECTATIONS.map((rule) => rule.id).join(' ')).toBe(
      'D1 D2 D3 D4 D5 D6 C1 C2 C3 C4 C5 C6 C7 C8 P1 P2 P3 S1 S2 S3 S4 E1 R1 R2',
    );
  });

  it('share no reason and no warning of a source', () => {
    for (const source of SOURCES) {
      for (const kind of ['reasons', 'warnings'] as const) {
        const names = namesOf(source, kind);
        expect(new Set(names).size, `${source} ${kind}`).toBe(names.length);
      }
    }
  });

  it.each(RULES)('$id does with a record what it says', ({ actions, reasons, warnings, outcomes, base }) => {
    expect(actions.includes('quarantine')).toBe(reasons.length > 0);
    expect(actions.includes('warn')).toBe(
      warnings.length > 0 || base === 'looked_up' || (base === null && actions[0] === 'warn'),
    );
    expect(actions.includes('drop')).toBe(outcomes.includes('duplicates'));
    expect(actions.includes('conflict')).toBe(outcomes.includes('conflicts'));
  });

  it.each(RULES)('$id warns before it fails', ({ warnIf, failIf, measure }) => {
    expect(warnIf ?? -1).toBeLessThan(failIf ?? Number.POSITIVE_INFINITY);
    expect(measure === 'share' ? (failIf ?? 0) : 0).toBeLessThan(1);
  });
});

describe('a record that is quarantined', () => {
  it.each(listed(refused))('$source, $name: breaks the rule of its reason alone', async (example) => {
    const { source, name, value, horizon } = example;
    const { quarantined, quality } = await prepared(source, [valid[source], value], { horizon });
    expect(quarantined.map((record) => record.reasons)).toEqual([[name]]);
    const rule = ruleOfReason(source, name);
    expect(rule).not.toBeNull();
    const expected = COUNTED[source].map(({ id, base }) => {
      const checked = { received: 2, valid: 1, first: 1, coded: 0, looked_up: 0 }[base];
      return [id, [checked, id === rule ? 1 : 0]];
    });
    expect(counted(quality[source])).toEqual(Object.fromEntries(expected));
  });

  it('counts once for a rule that it breaks twice, and for every rule that it breaks', async () => {
    const value = journeyBytes({ journey_type: 'dental', action: 'swipe', member_id: null, timestamp: NOW + DAY });
    const { quality } = await prepared('journeys', [value]);
    expect(counted(quality.journeys)).toMatchObject({ D1: [1, 1], D2: [1, 1], D3: [1, 1], D4: [0, 0], S4: [1, 0] });
  });
});

describe('a record that is refused for nothing but its age', () => {
  const old = valid.calls;
  const both = callBytes({ member_id: null });
  const told = async (o: Parameters<typeof prepared>[2]) => {
    const { quarantined, lanes } = await prepared('calls', [old, both], { horizon: NOW + 1, ...o });
    return {
      counted: lanes.reduce((sum, { counts }) => sum + counts.quarantined, 0),
      told: quarantined.map(({ offset, reasons }) => `${offset} ${reasons.join(' ')}`),
    };
  };
  const first = '0 beyond_retention';
  const second = '1 unidentified beyond_retention';

  it.each([
    ['that comes late is told of', {}, [first, second]],
    ['that live has read before is counted, and not told of', { again: true }, [second]],
    ['that was there before the generation is counted, and not told of', { untoldBefore: NOW + 1 }, [second]],
    ['of which others were removed from quarantine is told of', { quarantineKeptFrom: NOW + 1 }, [first]],
    ['that came with the generation is told of', { untoldBefore: NOW }, [first, second]],
    [
      'that had been lost is told of, whoever finds it',
      { again: true, losses: [{ topic: 'calls', partition: 0, fromOffset: 0, nextOffset: 1 }] },
      [first, second],
    ],
  ])('%s', async (_, o, expected) => {
    expect(await told(o)).toEqual({ counted: 2, told: expected });
  });
});

describe('a record that is kept with a warning', () => {
  it.each(listed(warned))('$source, $name: breaks the rule of its warning alone', async ({ source, name, value }) => {
    const { quarantined, quality } = await prepared(source, [valid[source], value]);
    expect(quarantined).toEqual([]);
    expect([...quality[source].warnings]).toEqual([[name, 1]]);
    const rule = ruleOfWarning(source, name);
    expect(rule === null).toBe(name === 'S4:unknown_fields');
    const expected = COUNTED[source].map(({ id, base }) => {
      const first = name === 'D3:old' ? 1 : 2;
      const checked = { received: 2, valid: 2, first, coded: rule === 'D4' ? 1 : 0, looked_up: 0 }[base];
      return [id, [checked, id === rule ? 1 : 0]];
    });
    expect(counted(quality[source])).toEqual(Object.fromEntries(expected));
  });

  it('warns of no lateness where a correction says something new about an old event', async () => {
    const { quality } = await prepared('calls', [callBytes({ call_timestamp: NOW - DAY, revision: 1 })]);
    expect(counted(quality.calls)).toMatchObject({ S3: [0, 0], C5: [1, 0] });
    expect(quality.calls.delaysMs).toEqual([]);
  });
});

describe('what applying finds out', () => {
  it('counts duplicates, conflicts and members without a profile for their rules', async () => {
    const settled: Settled = { duplicates: 3, conflicts: 2, lookedUp: { checked: 5, unknown: 1 } };
    const values = (source: Source) => [valid[source], valid[source], null];
    const { quality: j } = await prepared('journeys', values('journeys'));
    expect(counted(j.journeys, settled)).toMatchObject({ D5: [2, 3], C8: [5, 1], D1: [3, 0], S4: [3, 1] });
    const { quality: c } = await prepared('calls', values('calls'));
    expect(counted(c.calls, settled)).toMatchObject({ C6: [2, 2], C7: [5, 1], C1: [3, 0] });
    const { quality: m } = await prepared('members', values('members'));
    expect(counted(m.members, settled)).toMatchObject({ P3: [2, 2], P1: [3, 0] });
  });
});

describe('a member who was erased', () => {
  const theirs = journeyBytes({ member_id: 'gone' });

  it('leaves nothing of a record but that it was there, and where something is left of it, that counts for nothing', async () => {
    for (const [value, erased] of [
      [theirs, undefined],
      [null, 'everything'],
      [valid.journeys, 'everything'],
    ] as const) {
      const { quarantined, lanes, shards } = await prepared(
        'journeys',
        [value],
        erased === undefined ? {} : { erased },
      );
      expect(quarantined).toEqual([expect.objectContaining({ payload: null, recordId: null, reasons: ['erased'] })]);
      expect([lanes[0]?.counts.quarantined, shards.size]).toEqual([1, 0]);
    }
  });

  it('is refused by a replay without a line in quarantine, but for what live had given up', async () => {
    const again = await prepared('journeys', [theirs, valid.journeys, theirs], { again: true });
    expect([again.quarantined, again.lanes[0]?.counts.quarantined]).toEqual([[], 2]);
    const losses = [{ topic: 'journeys', partition: 0, fromOffset: 2, nextOffset: 3 }];
    const mended = await prepared('journeys', [theirs, valid.journeys, theirs], { again: true, losses });
    expect(mended.quarantined.map(({ offset }) => offset)).toEqual([2]);
    expect(mended.lanes.map(({ counts }) => counts.quarantined)).toEqual([1, 1]);
  });
});

describe('every reason and warning that the code can give', () => {
  it('is one of a rule, and every one of a rule has an example here', () => {
    for (const source of SOURCES) {
      for (const [kind, examples] of [
        ['reasons', refused[source]],
        ['warnings', warned[source]],
      ] as const) {
        // Only calls have fields that are emptied instead of refused.
        const names = namesOf(source, kind).filter(
          (name) => kind === 'reasons' || name !== 'type:*' || source === 'calls',
        );
        const shown = Object.keys(examples).map((name) => declared(name, names));
        expect([...new Set(shown)].sort(), `${source} ${kind}`).toEqual(names.toSorted());
      }
    }
  });

  /** Anything that a field might hold, in JSON. */
  const anything = fc.oneof(
    fc.constantFrom<unknown>(null, '', ' ', LONG, 'a\0', '\ud800', 7, -1, 0.5, 1.2, 1e18, TOO_FAR, true, [], {}),
    fc.constantFrom<unknown>(
      'error',
      'dental',
      '2026-03-02T15:00:00Z',
      '1999-01-01T00:00:00Z',
      '2026-99-99',
      NOW + DAY,
      20_000,
    ),
    fc.string(),
    fc.double(),
  );
  const damagedJson = fc.constantFrom(...SOURCES).chain((source) => {
    const names = contracts[source].fields.map((field) => field.name);
    const fields = fc.dictionary(fc.constantFrom(...names, 'extra'), anything, { maxKeys: 4 });
    return fc.record({ source: fc.constant(source), value: fields.map((changed) => json(source, changed)) });
  });
  const damagedBytes = fc
    .record({
      source: fc.constantFrom(...SOURCES),
      at: fc.nat(80),
      bytes: fc.uint8Array({ maxLength: 6 }),
      cut: fc.boolean(),
    })
    .map(({ source, at, bytes, cut }) => {
      const whole = valid[source];
      const rest = cut ? [] : [whole.subarray(at + bytes.length)];
      return { source, value: Buffer.concat([whole.subarray(0, at), bytes, ...rest]) };
    });

  it('has a rule, whatever is sent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(damagedJson, damagedBytes), async ({ source, value }) => {
        const { quarantined, quality } = await prepared(source, [value], { horizon: Date.UTC(2010, 0) });
        const reasons = quarantined.flatMap((record) => record.reasons);
        const warnings = [...quality[source].warnings.keys()];
        const known = { reasons: namesOf(source, 'reasons'), warnings: namesOf(source, 'warnings') };
        expect(reasons.filter((name) => !known.reasons.includes(declared(name, known.reasons)))).toEqual([]);
        expect(warnings.filter((name) => !known.warnings.includes(declared(name, known.warnings)))).toEqual([]);
        const counts = warnings.filter((name) => name !== 'S4:unknown_fields');
        const total = Object.values(counted(quality[source])).reduce((sum, [, violations]) => sum + violations, 0);
        expect(total > 0).toBe(reasons.length + counts.length > 0);
      }),
      { numRuns: 1_500 },
    );
  });
});

describe('the judge of records that nobody has sent yet', () => {
  const judge = (horizon: number | null | undefined, question: unknown) =>
    new RecordJudge({
      book,
      policy: {
        version: 1,
        refusedBefore: horizon ?? null,
        untoldBefore: null,
        quarantineKeptFrom: null,
        erased: GONE,
      },
      reading,
      losses: [],
      again: false,
    }).judge(JSON.stringify(question));
  const asked = (source: Source, value: Buffer | null) => ({
    source,
    timestampMs: NOW,
    value: value?.toString('base64') ?? null,
  });

  it.each(listed(refused))('$source: refuses for $name', async ({ source, name, value, horizon }) => {
    const verdict = await judge(horizon, asked(source, value));
    expect(verdict).toEqual({ ok: false, reasons: [name], warnings: [] });
  });

  it.each(listed(warned))('$source: warns of $name', async ({ source, name, value }) => {
    expect(await judge(null, asked(source, value))).toEqual({ ok: true, reasons: [], warnings: [name] });
  });

  it('takes the time that it is told for the time of Kafka', async () => {
    const value = journeyBytes({ emitted_at: NOW });
    const early = { ...asked('journeys', value), timestampMs: NOW - DAY };
    expect(await judge(null, early)).toMatchObject({ reasons: ['emitted_in_future'] });
  });

  it.each([null, 7, { source: 'changes', timestampMs: 1, value: null }, { source: 'calls', timestampMs: '1' }])(
    'throws for %j, which is no question',
    async (line) => {
      await expect(judge(null, line)).rejects.toThrow(/^a question is/);
    },
  );
});

describe('the metrics', () => {
  async function textAfter(apply: (quality: ReturnType<typeof qualityMetrics>) => void): Promise<string[]> {
    const metrics = new Metrics();
    apply(qualityMetrics(metrics));
    return (await metrics.text()).split('\n');
  }
  const settled = { journeys: nothingSettled, calls: nothingSettled, members: nothingSettled };

  it('have a zero for every rule of every source before anything came', async () => {
    const lines = await textAfter(() => undefined);
    const pairs = SOURCES.flatMap((source) => COUNTED[source].map((rule) => `{source="${source}",rule="${rule.id}"}`));
    for (const name of ['leakage_quality_checked_total', 'leakage_quality_violations_total']) {
      expect(lines.filter((line) => line.startsWith(`${name}{`)).sort()).toEqual(
        pairs.map((labels) => `${name}${labels} 0`).sort(),
      );
    }
  });

  it('tell the thresholds', async () => {
    const lines = await textAfter(() => undefined);
    expect(lines).toContain('leakage_quality_threshold_ratio{rule="D3",severity="warn"} 0.001');
    expect(lines).toContain('leakage_quality_threshold_ratio{rule="D3",severity="fail"} 0.02');
    expect(lines).toContain('leakage_quality_threshold_seconds{rule="S1",severity="fail"} 1800');
    expect(lines.some((line) => line.startsWith('leakage_quality_threshold_ratio{rule="D4",severity="fail"}'))).toBe(
      false,
    );
  });

  it('tell delays, the newest record and the watermark, which never go back', async () => {
    const at = (timestamp: number, emitted: number) => journeyBytes({ timestamp, emitted_at: emitted });
    const newer = await prepared('journeys', [at(NOW - 20_000, NOW - 10_000), at(NOW - 60_000, NOW)]);
    const older = await prepared('journeys', [at(NOW - DAY, NOW - DAY)]);
    const lines = await textAfter((metrics) => {
      metrics.applied(newer.quality, settled);
      metrics.applied(older.quality, settled);
    });
    expect(lines).toContain('leakage_quality_delay_seconds_bucket{le="1",source="journeys"} 1');
    expect(lines).toContain('leakage_quality_delay_seconds_bucket{le="15",source="journeys"} 2');
    expect(lines).toContain('leakage_quality_delay_seconds_bucket{le="60",source="journeys"} 3');
    expect(lines).toContain(`leakage_quality_newest_emitted_timestamp_seconds{source="journeys"} ${NOW / 1000}`);
    expect(lines).toContain(`leakage_quality_watermark_timestamp_seconds{source="journeys"} ${(NOW - 20_000) / 1000}`);
  });
});
