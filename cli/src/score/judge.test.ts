import { expect, test } from 'vitest';
import { Judge, type TrueCall } from './judge.ts';

const call = (id: string, kind: string, session: string | null = null, type = 'billing'): TrueCall => ({
  call_id: id,
  kind,
  leakage: session !== null,
  session_id: session,
  journey_type: session === null ? null : type,
});

function judged(truth: readonly TrueCall[], charges: readonly (readonly [string, string | null, string | null])[]) {
  const judge = new Judge();
  for (const one of truth) judge.addTruth(one);
  for (const [callId, sessionId, leakageType] of charges) judge.addCharge({ callId, sessionId, leakageType });
  return judge.score();
}

const truth = [
  call('A', 'leak', 'S1'),
  call('B', 'leak', 'S2'),
  call('C', 'follow_on', 'S2'),
  call('D', 'leak', 'S3', 'pharmacy'),
  call('E', 'repeat_after_failure', 'S4'),
  call('F', 'unaligned'),
  call('G', 'cured'),
  call('H', 'other'),
  call('I', 'withdrawn'),
];

test('all that is right is perfect', () => {
  const right = truth.flatMap((one) => (one.leakage ? [[one.call_id, one.session_id, one.journey_type] as const] : []));
  expect(judged(truth, right)).toEqual({
    calls: 8,
    leakage: 5,
    rowsCharged: 5,
    callsCharged: 5,
    chargedAgain: 0,
    correct: 5,
    precision: 1,
    precisionOfRows: 1,
    recall: 1,
    overCount: 1,
    mistakes: { misattributed: {}, wronglyCharged: {}, missed: {} },
  });
});

test('every kind of mistake is counted as what it is', () => {
  const score = judged(truth, [
    ['A', 'S1', 'billing'], // right
    ['A', 'S1', 'billing'], // again
    ['B', 'S9', 'billing'], // another session
    ['B', 'S2', 'billing'], // and the right one: the call is right, a row is too many
    ['C', 'S1', 'billing'], // another session
    ['D', 'S3', 'billing'], // another type
    ['F', 'S5', 'billing'],
    ['G', 'S6', 'billing'],
    ['G', 'S7', 'billing'],
    ['I', 'S8', 'billing'],
    ['X', 'S8', 'billing'],
  ]);
  expect(score).toMatchObject({
    calls: 8,
    leakage: 5,
    rowsCharged: 11,
    callsCharged: 8,
    chargedAgain: 3,
    correct: 2,
    precision: 2 / 8,
    precisionOfRows: 2 / 11,
    recall: 2 / 5,
    overCount: 11 / 5,
  });
  expect(score.mistakes).toEqual({
    misattributed: { follow_on: { count: 1, examples: ['C'] }, leak: { count: 1, examples: ['D'] } },
    wronglyCharged: {
      unaligned: { count: 1, examples: ['F'] },
      cured: { count: 1, examples: ['G'] },
      withdrawn: { count: 1, examples: ['I'] },
      unknown: { count: 1, examples: ['X'] },
    },
    missed: { repeat_after_failure: { count: 1, examples: ['E'] } },
  });
});

test('nothing charged has no precision, no leakage has no recall', () => {
  expect(judged(truth, [])).toMatchObject({ precision: null, recall: 0, overCount: 0 });
  expect(judged([call('F', 'unaligned')], [])).toMatchObject({ precision: null, recall: null, overCount: null });
});

test('of many mistakes the first five are named', () => {
  const many = Array.from({ length: 20 }, (_, i) => call(`L${i}`, 'leak', `S${i}`));
  expect(judged(many, []).mistakes.missed.leak).toEqual({ count: 20, examples: ['L0', 'L1', 'L2', 'L3', 'L4'] });
});
