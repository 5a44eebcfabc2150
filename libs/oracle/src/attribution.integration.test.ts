import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type Delivered, defaultRules, type World } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const at = '2026-03-02T15:00:00Z';
const event = {
  event_id: 'e',
  member_id: 'M',
  session_id: 'S',
  timestamp: at,
  journey_type: 'billing',
  action: 'error',
  emitted_at: at,
};
const call = { call_id: 'c', member_id: 'M', call_timestamp: at, emitted_at: at };

describe('alignment, family and attribution', () => {
  beforeEach(() => world.reset());

  type Fact = { attribution: string; issue_family: string | null; strength: number | null; type: string | null };
  const fact = async (
    fields: Record<string, unknown>,
    failed = ['billing'],
    done: string[] = [],
  ): Promise<Fact | undefined> => {
    const types = [...failed.map((t) => [t, 'abandon'] as const), ...done.map((t) => [t, 'complete'] as const)];
    await world.deliver([
      ...types.map(
        ([journey_type, action], i): Delivered => ({
          source: 'journeys',
          event: { ...event, event_id: `${i}`, journey_type, action },
        }),
      ),
      {
        source: 'calls',
        event: { ...call, call_timestamp: '2026-03-02T15:10:00Z', emitted_at: '2026-03-02T15:10:00Z', ...fields },
      },
    ]);
    const [found] = await world.facts<Fact>(
      'select attribution, issue_family, alignment_strength as strength, leakage_type as type from oracle_call_fact',
    );
    return found;
  };

  const issues = [
    ['billing_question', null, 'leakage', 'billing', 2],
    ['claims_status', 'main > billing', 'unaligned', 'claims_status', null],
    ['login_help', null, 'leakage', 'any', 2],
    [null, 'Main > BILLING > agent', 'leakage', 'billing', 1],
    ['Unknown', 'rx|billing', 'leakage', 'pharmacy', 1],
    ['other', 'main > tech_support', 'leakage', 'any', 1],
    [null, 'main > rx', 'unaligned', 'pharmacy', null],
    [null, 'prebilling', 'possible', null, null],
    [null, null, 'possible', null, null],
  ] as const;

  test('by the reason, else by the first known token of the path', async () => {
    const later = '2026-03-02T15:10:00Z';
    await world.deliver(
      issues.flatMap(([call_reason, ivr_path], i): Delivered[] => [
        { source: 'journeys', event: { ...event, event_id: `${i}`, member_id: `${i}` } },
        {
          source: 'calls',
          event: {
            ...call,
            call_id: `${i}`,
            member_id: `${i}`,
            call_timestamp: later,
            emitted_at: later,
            call_reason,
            ivr_path,
          },
        },
      ]),
    );
    const rows = await world.facts(
      'select attribution, issue_family, alignment_strength as strength, leakage_type as type from oracle_call_fact order by call_id',
    );
    expect(rows).toEqual(
      issues.map(([, , attribution, issue_family, strength]) => ({
        attribution,
        issue_family,
        strength,
        type: attribution === 'leakage' ? 'billing' : null,
      })),
    );
  });

  test('an aligned type that was completed is cured, whatever else stands failed', async () => {
    expect(await fact({ call_reason: 'billing_question' }, ['pharmacy'], ['billing'])).toMatchObject({
      attribution: 'cured',
    });
  });

  test('nothing failed', async () => {
    expect(await fact({ call_reason: null }, [], ['billing'])).toMatchObject({ attribution: 'none' });
  });

  test('calls without a family neither make nor are a repeat; with any_reason all calls do', async () => {
    const calls: Delivered[] = [null, 'claims_status', null, 'billing_question', 'claims_status'].map(
      (call_reason, i) => ({
        source: 'calls',
        event: {
          ...call,
          call_id: `${i}`,
          call_reason,
          call_timestamp: `2026-03-0${i + 1}T15:00:00Z`,
          emitted_at: null,
        },
      }),
    );
    const repeats = async () =>
      (await world.facts<{ r: boolean }>('select is_repeat_call as r from oracle_call_fact order by call_id')).map(
        (row) => row.r,
      );
    await world.deliver(calls);
    expect(await repeats()).toEqual([false, false, false, false, true]);
    await world.reset({ ...defaultRules, repeatScope: 'any_reason' });
    await world.deliver(calls);
    expect(await repeats()).toEqual([false, true, true, true, true]);
  });
});

describe('ties and ends', () => {
  const ms = (n: number) => new Date(Date.parse(at) + n).toISOString();
  const minutes = 60_000;
  type Happening = [id: string, action: string, after: number, code?: string];
  // A call at `at` after what happened `after` milliseconds later (negative: earlier), with the anchor and code expected.
  const ends: [says: string, happened: Happening[], expected: Record<string, unknown>][] = [
    ['a failure in the millisecond of the call', [['e', 'error', 0]], { anchor: 'e', ms: 0 }],
    ['a failure the whole window before', [['e', 'error', -30 * minutes]], { anchor: 'e', ms: 30 * minutes }],
    ['a millisecond more', [['e', 'error', -30 * minutes - 1]], { attribution: 'none' }],
    ['a failure a millisecond later', [['e', 'error', 1]], { attribution: 'none' }],
    [
      'completed in the millisecond of the call',
      [
        ['e', 'error', -1],
        ['d', 'complete', 0],
      ],
      { attribution: 'cured' },
    ],
    [
      'completed in the millisecond of the failure',
      [
        ['z', 'error', -1],
        ['a', 'complete', -1],
      ],
      { attribution: 'cured' },
    ],
    [
      'abandoned in the millisecond of the error',
      [
        ['z', 'error', -1, 'E'],
        ['a', 'abandon', -1],
      ],
      { anchor: 'a', ms: 1, code: 'E' },
    ],
    [
      'two errors in one millisecond: the greater id by bytes',
      [
        ['\u{1F600}', 'error', -1, 'A'],
        ['\uFFFD', 'error', -1, 'B'],
      ],
      { anchor: '\u{1F600}', ms: 1, code: 'A' },
    ],
    [
      'an error the window before the anchor',
      [
        ['e', 'error', -30 * minutes - 5, 'E'],
        ['a', 'abandon', -5],
      ],
      { anchor: 'a', ms: 5, code: 'E' },
    ],
    [
      'a millisecond more',
      [
        ['e', 'error', -30 * minutes - 6, 'E'],
        ['a', 'abandon', -5],
      ],
      { anchor: 'a', ms: 5 },
    ],
    [
      'the last error has no code',
      [
        ['e', 'error', -9, 'E'],
        ['f', 'error', -8],
        ['a', 'abandon', -5],
      ],
      { anchor: 'a', ms: 5 },
    ],
    [
      'a window later completed',
      [
        ['e', 'error', -1],
        ['c', 'complete', 30 * minutes],
      ],
      { anchor: 'e', ms: 1, assisted: true },
    ],
    [
      'a millisecond more',
      [
        ['e', 'error', -1],
        ['c', 'complete', 30 * minutes + 1],
      ],
      { anchor: 'e', ms: 1 },
    ],
  ];
  let found: Record<string, unknown>[];
  beforeAll(async () => {
    await world.reset();
    await world.deliver(
      ends.flatMap(([, happened], i): Delivered[] => [
        ...happened.map(([id, action, after, error_code]): Delivered => {
          const fields = {
            event_id: `${i} ${id}`,
            member_id: `${i}`,
            action,
            timestamp: ms(after),
            emitted_at: ms(after),
          };
          return { source: 'journeys', event: { ...event, ...fields, error_code } };
        }),
        { source: 'calls', event: { ...call, call_id: `${i}`, member_id: `${i}`, call_reason: 'billing_question' } },
      ]),
    );
    found = await world.facts(`
      select attribution, substr(digital_event_id, strpos(digital_event_id, ' ') + 1) as anchor, time_to_call_ms as ms,
             error_code as code, assisted_completion as assisted
        from oracle_call_fact order by call_id::int`);
  });

  test.each(ends.map(([says, happened, expected], i) => [says, happened, expected, i] as const))(
    '%s: %j',
    (_says, _happened, expected, i) => {
      const nothing = { attribution: 'leakage', anchor: null, ms: null, code: null, assisted: false };
      expect(found[i]).toEqual({ ...nothing, ...expected });
    },
  );

  test('of calls in one millisecond the smaller id is the primary one, and the other a repeat', async () => {
    await world.reset();
    const same = { ...call, call_reason: 'billing_question' };
    await world.deliver([
      { source: 'journeys', event },
      { source: 'calls', event: { ...same, call_id: '\u{1F600}' } },
      { source: 'calls', event: { ...same, call_id: '\uFFFD' } },
    ]);
    expect(
      await world.facts('select call_id, is_primary, is_repeat_call from oracle_call_fact order by call_id'),
    ).toEqual([
      { call_id: '\uFFFD', is_primary: true, is_repeat_call: false },
      { call_id: '\u{1F600}', is_primary: false, is_repeat_call: true },
    ]);
  });
});
