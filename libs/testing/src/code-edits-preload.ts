// Runs before a service that is under test: changes the text of modules while they are loaded (code-edits.ts), and gives
// the fail points that were put in that way something to call (fail-points.ts). Production code knows nothing of either.
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { CodeEdit } from './code-edits.ts';
import type { FailPointOrder } from './fail-points.ts';

const edits = JSON.parse(process.env.LEAKAGE_CODE_EDITS ?? '[]') as readonly CodeEdit[];
const byModule = Map.groupBy(edits, ({ file }) => pathToFileURL(file).href);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const changes = byModule.get(url);
    if (changes === undefined) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
    for (const { file, right, wrong } of changes) {
      if (!source.includes(right)) throw new Error(`an edit does not fit ${file}: ${right}`);
      source = source.replace(right, () => wrong);
    }
    return { ...loaded, source };
  },
});

const order = JSON.parse(process.env.LEAKAGE_FAIL_POINT ?? 'null') as FailPointOrder | null;
let passes = 0;

Object.assign(globalThis, {
  leakageFailPoint(name: string) {
    if (order === null || order.name !== name) return;
    passes += 1;
    if (passes === order.pass) process.kill(process.pid, order.signal);
  },
});

/** Milliseconds by which this process is wrong about the time; the file may change at any moment. */
const clockFile = process.env.LEAKAGE_CLOCK_FILE;
if (clockFile !== undefined) jumpWith(clockFile);

function jumpWith(file: string): void {
  const RealDate = Date;
  const realNow = RealDate.now.bind(RealDate);
  let wrong = { byMs: 0, until: 0 };
  const now = (): number => {
    const at = performance.now();
    if (at >= wrong.until) wrong = { byMs: Number(readFileSync(file, 'utf8')), until: at + 50 };
    return realNow() + wrong.byMs;
  };
  class JumpingDate extends RealDate {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(now());
      else super(...(given as [number]));
    }
    static override now = now;
  }
  Object.assign(globalThis, { Date: JumpingDate });
}
