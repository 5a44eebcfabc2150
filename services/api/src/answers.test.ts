import { describe, expect, test } from 'vitest';
import { Answers, type AnswersOptions, type Read } from './answers.ts';

/** Answers over data whose version is `state.version`, and a count of how often it was looked at. */
function answersOver(options: Partial<AnswersOptions> = {}) {
  const state = { version: '1', looks: 0, reads: 0 };
  const answers = new Answers({
    version: async () => {
      state.looks += 1;
      return state.version;
    },
    freshMs: 0,
    answersMax: 3,
    bytesMax: 10_000,
    ...options,
  });
  const read = async () => {
    state.reads += 1;
    return { version: state.version, content: { version: state.version } };
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
      return { version: '2', content: 'new' };
    };
    await answers.get('a', overtaken);
    expect(await textOf('a')).toBe('"new"');
    expect(state.reads).toBe(0);
  });

  describe('nobody is told something older than what was told before', () => {
    /** Answers whose looks and reads end when the test says so. */
    function slowAnswers() {
      const state = { version: 'old', looks: 0 };
      const looks: ((version: string) => void)[] = [];
      const answers = new Answers({
        version: () =>
          new Promise((resolve) => {
            state.looks += 1;
            looks.push(resolve);
          }),
        freshMs: 60_000,
        answersMax: 10,
        bytesMax: 10_000,
      });
      const at = (version: string) => async () => ({ version, content: version });
      const textOf = async (question: string, read: () => Promise<Read>) =>
        String((await answers.get(question, read)).body);
      return { answers, state, looks, at, textOf };
    }
    const settled = () => new Promise((resolve) => setImmediate(resolve));

    test('what was looked up before a newer answer was read is not the present version any more', async () => {
      const { state, looks, at, textOf } = slowAnswers();
      const first = textOf('a', at('old'));
      looks[0]?.('old');
      expect([await first, await textOf('b', at('new'))]).toEqual(['"old"', '"new"']);
      expect(await textOf('a', at('new'))).toBe('"new"');
      expect(state.looks).toBe(1);
    });

    test('a look that began before that is not waited for', async () => {
      const { answers, looks, at, textOf } = slowAnswers();
      const first = textOf('a', at('old'));
      looks[0]?.('old');
      await first;
      answers.doubt();
      const slow = textOf('a', at('new'));
      answers.doubt();
      const quick = textOf('a', at('new'));
      looks[2]?.('new');
      expect(await quick).toBe('"new"');
      looks[1]?.('old');
      expect([await slow, await textOf('a', at('wrong'))]).toEqual(['"new"', '"new"']);
    });

    test('nor is an answer that is being made from what was there before', async () => {
      const { answers, looks, at, textOf } = slowAnswers();
      let give: (read: Read) => void = () => undefined;
      const slow = textOf('a', () => new Promise((resolve) => (give = resolve)));
      looks[0]?.('old');
      await settled();
      expect(await textOf('b', at('new'))).toBe('"new"');
      expect(await textOf('a', at('new'))).toBe('"new"');
      give({ version: 'old', content: 'old' });
      expect(await slow).toBe('"old"');
      expect(await textOf('a', at('wrong'))).toBe('"new"');
      expect(answers.bytes).toBe(10);
    });

    test('whoever has read something newer elsewhere may say so', async () => {
      const { answers, state, looks, at, textOf } = slowAnswers();
      const first = textOf('a', at('old'));
      looks[0]?.('old');
      await first;
      answers.doubt();
      const second = textOf('a', at('new'));
      looks[1]?.('new');
      expect(await second).toBe('"new"');
      expect(state.looks).toBe(2);
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
    const large = { version: '1', content: 'x'.repeat(100) };
    expect((await answers.get('large', async () => large)).body.length).toBe(102);
    expect(answers.bytes).toBe(0);
    for (const question of ['a', 'b', 'c']) await textOf(question);
    expect(answers.bytes).toBe(30);
  });
});
