import { describe, expect, test } from 'vitest';
import { Answers, type AnswersOptions, type Read } from './answers.ts';

/** Answers over data whose version is `state.version`, and a count of how often it was looked at. */
function answersOver(options: Partial<AnswersOptions> = {}) {
  const state = { version: '1', looks: 0, reads: 0 };
  const answers = new Answers({
    version: async () => {
      state.looks += 1;
      return { generation: 1, version: state.version };
    },
    freshMs: 0,
    answersMax: 3,
    bytesMax: 10_000,
    ...options,
  });
  const read = async () => {
    state.reads += 1;
    return { generation: 1, version: state.version, content: { version: state.version } };
  };
  const textOf = async (question: string): Promise<string> => String((await answers.get(question, read)).body);
  return { answers, state, read, textOf };
}

describe('answers', () => {
  test('one read for a version, and another for the next', async () => {
    const { state, textOf } = answersOver();
    expect([await textOf('a'), await textOf('a')]).toEqual(['{"version":"1"}', '{"version":"1"}']);
    expect(state.reads).toBe(1);
    state.version = '2';
    expect(await textOf('a')).toBe('{"version":"2"}');
    expect(state.reads).toBe(2);
  });

  test('equal content has an equal name, other content another', async () => {
    const { answers, state, read } = answersOver();
    const first = await answers.get('a', read);
    const second = await answers.get('b', read);
    state.version = '2';
    const third = await answers.get('a', read);
    expect(second.etag).toBe(first.etag);
    expect(third.etag).not.toBe(first.etag);
  });

  test('many who ask at once: one look at the version, one read', async () => {
    const { state, textOf } = answersOver();
    await Promise.all(Array.from({ length: 100 }, () => textOf('a')));
    expect(state).toMatchObject({ looks: 1, reads: 1 });
  });

  test('within the age that counts as present nothing is looked at, and nothing is waited for', async () => {
    const { answers, state, read } = answersOver({ freshMs: 60_000 });
    await answers.get('a', read);
    state.version = '2';
    expect(answers.get('a', read)).not.toBeInstanceOf(Promise);
    expect(state).toMatchObject({ looks: 1, reads: 1 });
  });

  test('an answer that was read at a later version than the one looked up is kept for that one', async () => {
    const { answers, state, textOf } = answersOver();
    const overtaken = async () => {
      state.version = '2';
      return { generation: 1, version: '2', content: 'new' };
    };
    await answers.get('a', overtaken);
    expect(await textOf('a')).toBe('"new"');
    expect(state.reads).toBe(0);
  });

  describe('whoever asks after somebody was told of another generation is never told of the former one', () => {
    /** Answers whose looks end when the test says so; the version is that of the generation. */
    function slowAnswers() {
      const looks: ((generation: number) => void)[] = [];
      const answers = new Answers({
        version: async () => {
          const generation = await new Promise<number>((resolve) => looks.push(resolve));
          return { generation, version: String(generation) };
        },
        freshMs: 60_000,
        answersMax: 10,
        bytesMax: 10_000,
      });
      const read = (generation: number): Read => ({ generation, version: String(generation), content: generation });
      const at = (generation: number) => async () => read(generation);
      const ask = async (question: string, how: () => Promise<Read>) => Number((await answers.get(question, how)).body);
      return { answers, looks, read, at, ask };
    }
    const settled = () => new Promise((resolve) => setImmediate(resolve));

    /** Somebody was told of generation 1, and it counts as present. */
    async function begun() {
      const slow = slowAnswers();
      const first = slow.ask('a', slow.at(1));
      slow.looks[0]?.(1);
      expect(await first).toBe(1);
      return slow;
    }

    test('by an answer to another question: what was looked up before is looked up again', async () => {
      const { looks, at, ask } = await begun();
      expect(await ask('b', at(2))).toBe(2);
      const again = ask('a', at(2));
      looks[1]?.(2);
      expect(await again).toBe(2);
    });

    test('by other means', async () => {
      const { answers, looks, at, ask } = await begun();
      answers.told(1);
      expect([await ask('a', at(9)), looks.length]).toEqual([1, 1]);
      answers.told(2);
      const again = ask('a', at(2));
      looks[1]?.(2);
      expect(await again).toBe(2);
    });

    test('a look that began before is not waited for, nor believed', async () => {
      const { answers, looks, at, ask } = await begun();
      answers.told(2);
      const slow = ask('b', at(2));
      answers.told(1);
      answers.told(2);
      const quick = ask('a', at(2));
      looks[2]?.(2);
      expect(await quick).toBe(2);
      looks[1]?.(1);
      expect([await slow, await ask('a', at(9)), looks.length]).toEqual([2, 2, 3]);
    });

    test('nor is an answer that is being made', async () => {
      const { looks, read, at, ask } = await begun();
      let give: (read: Read) => void = () => undefined;
      const slow = ask('b', () => new Promise((resolve) => (give = resolve)));
      await settled();
      expect(await ask('c', at(2))).toBe(2);
      const quick = ask('b', at(2));
      looks[1]?.(2);
      expect(await quick).toBe(2);
      give(read(1));
      expect([await slow, await ask('b', at(9))]).toEqual([1, 2]);
    });

    test('but a fold within a generation costs nobody what is being made', async () => {
      const { answers, state, read } = answersOver();
      let give: (read: Read) => void = () => undefined;
      const slow = answers.get('a', () => new Promise((resolve) => (give = resolve)));
      await settled();
      state.version = '2';
      await answers.get('b', read);
      const joined = answers.get('a', read);
      await settled();
      give({ generation: 1, version: '2', content: 'both' });
      expect([String((await slow).body), String((await joined).body)]).toEqual(['"both"', '"both"']);
    });
  });

  test('a failure is told to everybody who asked, and is not kept', async () => {
    const { answers, textOf } = answersOver();
    const fails = () => Promise.reject(new Error('gone'));
    const heard = await Promise.allSettled([answers.get('a', fails), answers.get('a', fails)]);
    expect(heard.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await textOf('a')).toBe('{"version":"1"}');
  });

  test('bounded in number: the one not asked for longest goes', async () => {
    const { state, textOf } = answersOver();
    for (const question of ['a', 'b', 'c', 'a', 'd']) await textOf(question);
    expect(state.reads).toBe(4);
    await textOf('a');
    expect(state.reads).toBe(4);
    await textOf('b');
    expect(state.reads).toBe(5);
  });

  test('bounded in bytes: a large one is given, and not kept', async () => {
    const { answers, textOf } = answersOver({ bytesMax: 40 });
    const large = { generation: 1, version: '1', content: 'x'.repeat(100) };
    expect((await answers.get('large', async () => large)).body.length).toBe(102);
    expect(answers.bytes).toBe(0);
    for (const question of ['a', 'b', 'c']) await textOf(question);
    expect(answers.bytes).toBe(30);
  });
});
