import { expect, test } from 'vitest';
import { compareContent as silverCompares } from '../../../services/silver-joiner/src/domain/identity.ts';
import { CALLS, JOURNEYS, MEMBERS } from '../../../services/silver-joiner/src/sources.ts';
import { type ConflictRow, compareContent, conflictsOf, contentFields } from './conflicts.ts';

test('contents have the fields that silver compares, in its order', () => {
  const ofSilver = (table: { contentNames: readonly string[] }) =>
    table.contentNames.map((name) => name.replace('sentiment_e4', 'sentiment_score'));
  expect(contentFields('journeys')).toEqual(ofSilver(JOURNEYS));
  expect(contentFields('calls')).toEqual(ofSilver(CALLS));
  expect(contentFields('members')).toEqual(ofSilver(MEMBERS));
});

test('the greatest content is the one that counts in silver', () => {
  const contents = [
    ['a', null],
    ['a', '\u{1f600}'],
    ['a', '\uffff'],
    ['a', 'b'],
    [null, 'a'],
    ['a', 'b'],
  ];
  for (const a of contents) {
    for (const b of contents) {
      expect(Math.sign(compareContent(a, b)), `${JSON.stringify([a, b])}`).toBe(Math.sign(silverCompares(a, b)));
    }
  }
});

const row = (offset: number, content: (string | null)[]): ConflictRow => ({
  source: 'calls',
  identity: 'C-1',
  revision: 2,
  topic: 't',
  partition: 0,
  offset,
  content,
});
const contents = (member: string, sentiment: string) => [
  'C-1',
  member,
  '1772463600000',
  null,
  '300',
  'agent-17',
  'billing',
  sentiment,
  null,
  'false',
];

test('a conflict has all versions, and no person in it unless they are asked for', () => {
  const rows = [row(1, contents('M-104382', '-2500')), row(2, contents('M-104382', '500'))];
  const [hidden] = conflictsOf(rows, false);
  expect(hidden).toMatchObject({
    identity: 'C-1',
    revision: 2,
    versions: [
      {
        position: 't/0/1',
        counts: false,
        content: { member_id: '***382', agent_id: '***-17', sentiment_score: -0.25 },
      },
      {
        position: 't/0/2',
        counts: true,
        content: { call_timestamp: '2026-03-02T15:00:00.000Z', sentiment_score: 0.05 },
      },
    ],
  });
  expect(JSON.stringify(hidden)).not.toMatch(/104382|agent-17/);
  expect(JSON.stringify(conflictsOf(rows, true))).toContain('M-104382');
});

test('the identity of a profile is a member', () => {
  const rows = [{ ...row(1, []), source: 'members' as const, identity: 'M-104382\u001f1772463600000' }];
  expect(conflictsOf(rows, false)[0]?.identity).toBe('***382 from 2026-03-02T15:00:00.000Z');
  expect(conflictsOf([{ ...rows[0], identity: 'M-104382\u001f' } as ConflictRow], true)[0]?.identity).toBe(
    'M-104382 since ever',
  );
});
