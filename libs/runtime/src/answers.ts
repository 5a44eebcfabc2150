import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';

/** A longer line is no question: it holds a record of Kafka at most, and no broker takes one of a quarter of that. */
const lineCharacters = 64 * 1024 * 1024;

/** Turns lines of questions into lines of answers, in their order. Ends when `questions` does; throws what `answer` throws. */
export async function answerLines(
  answer: (questions: AsyncIterable<string>) => AsyncIterable<string>,
  o: { readonly questions: Readable; readonly answers: Writable },
): Promise<void> {
  for await (const line of answer(linesOf(o.questions))) {
    if (!o.answers.write(`${line}\n`)) await once(o.answers, 'drain');
  }
}

// Not readline: what it reads before somebody iterates over it, it forgets.
async function* linesOf(input: Readable): AsyncGenerator<string> {
  input.setEncoding('utf8');
  let rest = '';
  for await (const chunk of input as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > lineCharacters) throw new RangeError(`a line of more than ${lineCharacters} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
}
