import { describe, expect, test } from 'vitest';
import { nextTurn, type Told, untold } from './turns.ts';

const row = (o: Partial<Told>): Told => {
  return { generation: 1, shard: 0, turn: 1, nextSeq: 1, untilSeq: null, changeSeq: 0, ...o };
};
const options = { active: 1, shards: 2, changesMax: 100 };
const speaking = [row({ nextSeq: 8, changeSeq: 7 }), row({ shard: 1, nextSeq: 5, changeSeq: 700 })];

describe('whose turn it is', () => {
  test('the active generation, as much of each shard as a step takes', () => {
    expect(nextTurn(speaking, options)).toEqual({
      kind: 'tell',
      generation: 1,
      ranges: [{ shard: 1, fromSeq: 5, toSeq: 105 }],
    });
  });

  test('nobody, when all is told', () => {
    const all = [row({ nextSeq: 8, changeSeq: 7 }), row({ shard: 1 })];
    expect(nextTurn(all, options)).toEqual({ kind: 'nothing' });
  });

  test.each([
    ['the stream is new', []],
    ['one of its shards has no place in it', speaking.slice(1)],
    ['only another one has', speaking.map((one) => ({ ...one, generation: 2 }))],
  ])('the active generation is registered where %s', (_, told) => {
    expect(nextTurn(told, options)).toEqual({ kind: 'register' });
  });

  test('a generation that has ended goes first, up to its end, however far it has come meanwhile', () => {
    const ended = row({ generation: 2, turn: 0, shard: 1, nextSeq: 90, untilSeq: 95, changeSeq: 700 });
    const done = row({ generation: 2, turn: 0, shard: 0, nextSeq: 11, untilSeq: 10, changeSeq: 700 });
    expect(nextTurn([...speaking, ended, done], options)).toEqual({
      kind: 'tell',
      generation: 2,
      ranges: [{ shard: 1, fromSeq: 90, toSeq: 96 }],
    });
    expect(untold([...speaking, ended, done])).toBe(696 + 6);
    const toldNow = { ...ended, nextSeq: 96 };
    expect(nextTurn([...speaking, toldNow, done], options)).toEqual({ kind: 'told', generation: 2 });
  });

  test('of several that have ended, the one whose turn was first, whatever its number', () => {
    const ended = (generation: number, turn: number) => row({ generation, turn, untilSeq: 3, changeSeq: 3 });
    expect(nextTurn([ended(3, 5), ended(7, 4), ...speaking], options)).toMatchObject({ generation: 7 });
  });
});
