import { pseudonymKeyId, SettingsError } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { Erased, memberHash, mustFit, recordHash } from './erased.ts';

const key = 'k'.repeat(32);
const nobody = { source: 'calls', memberId: null, recordId: null, key: null };

function erased(...hashes: Buffer[]): Erased {
  return new Erased(key, Buffer.concat(hashes.toSorted((a, b) => a.compare(b))));
}

test('among many, each is found and nobody else', () => {
  const ids = Array.from({ length: 501 }, (_, nr) => `M-${nr}`);
  const some = erased(...ids.map((id) => memberHash(key, id)));
  expect(ids.filter((id) => !some.hasMember(id))).toEqual([]);
  expect(ids.filter((id) => some.hasMember(`${id}x`))).toEqual([]);
});

test.each([
  ['its member is one who was erased', { memberId: 'gone' }, true],
  ['its key says so, and nothing else does', { key: Buffer.from('gone') }, true],
  ['its key says so, and its member is empty', { memberId: '', key: Buffer.from('gone') }, true],
  ['its key says so, but it is of somebody else', { memberId: 'M', key: Buffer.from('gone') }, false],
  ['it is of a call that was theirs, whoever has it now', { memberId: 'M', recordId: 'call' }, true],
  ['its id is that of such a call, but it is an event', { source: 'journeys', memberId: 'M', recordId: 'call' }, false],
  ['its id is that of a member', { memberId: 'M', recordId: 'gone' }, false],
  ['it says nothing', { memberId: '', recordId: '', key: Buffer.alloc(0) }, false],
])('a record is refused or not: %s', (_, about, refused) => {
  const one = erased(memberHash(key, 'gone'), recordHash(key, 'calls', 'call'));
  expect(one.refuses({ ...nobody, ...about })).toBe(refused);
});

test('with another key nobody is known', () => {
  expect(new Erased('x'.repeat(32), memberHash(key, 'gone')).hasMember('gone')).toBe(false);
});

test('a key fits where everybody was erased by it, and what does not fit says what to set', () => {
  expect(mustFit(key, [pseudonymKeyId(key)])).toBe(key);
  expect(() => mustFit(null, ['0a1b2c3d'])).toThrow(SettingsError);
  expect(() => mustFit(null, ['0a1b2c3d'])).toThrow(
    /by the key 0a1b2c3d, and this process has none.*set PSEUDONYM_KEY/,
  );
  expect(() => mustFit(key, [pseudonymKeyId(key), '0a1b2c3d'])).toThrow(/set it to that key/);
});
