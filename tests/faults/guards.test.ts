import { describe, expect, it } from 'vitest';
import { FaultPipeline, type Stage, stages } from './support/fault-pipeline.ts';
import { type Edits, type GuardScenario, guardScenarios } from './support/guard-scenarios.ts';
import { type GuardOff, guards } from './support/guards.ts';
import { long, report } from './support/report.ts';

/** What never comes to rest is not waited for longer than this; everything else as long as it takes a slow machine. */
const [restlessMs, restMs] = [10_000, 60_000];
const timeout = 400_000;

type Off = Pick<GuardOff, 'edits' | 'secondEdits' | 'sql'>;

/** Plays a scenario with what is switched off, on a pipeline of its own; what is wrong afterwards, in words. */
async function play(scenario: GuardScenario, withinMs: number, off: Off = {}): Promise<string[]> {
  const editsOf = (stage: Stage, ...of: (Edits | undefined)[]) => of.flatMap((edits) => edits?.[stage] ?? []);
  const tampering = Object.fromEntries(
    stages.map((stage) => [stage, { edits: editsOf(stage, scenario.edits, off.edits) }]),
  );
  const pipeline = await FaultPipeline.start({ seed: 7, tampering, env: scenario.env ?? {} });
  try {
    if (off.sql !== undefined) await pipeline.pipeline.pool.query(off.sql);
    const second = (stage: Stage) =>
      pipeline.join(stage, { edits: editsOf(stage, scenario.edits, off.edits, off.secondEdits) });
    return await scenario.play(pipeline, { second, withinMs });
  } finally {
    await pipeline.stop();
  }
}

/** Most of a scenario is waiting, so two are played at a time. */
const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()];
let turn = 0;
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const lane = turn++ % lanes.length;
  const mine = Promise.resolve(lanes[lane]).then(work);
  lanes[lane] = mine.catch(() => undefined);
  return mine;
}

const red = guards.filter((one) => one.red.length > 0 && (long || one.longOnly !== true));
/** The other fault tests show every day that nothing is wrong with every guard on: here only in the long form. */
const whole = long ? Object.entries<GuardScenario>(guardScenarios) : [];
const unharmed = long ? guards.filter((one) => one.red.length === 0) : [];

describe('the battery', { concurrent: true, timeout }, () => {
  for (const { guard, scenario, red: noticed, restless, ...off } of red) {
    it(`turns red without ${guard} (${scenario})`, async () => {
      const wrong = await inTurn(() => play(guardScenarios[scenario], restless ? restlessMs : restMs, off));
      for (const words of noticed) expect(wrong.join('\n')).toMatch(words);
      report({ kind: 'guards', fault: 'guard switched off, and noticed', times: 1 });
    });
  }

  for (const [name, scenario] of whole) {
    it(`finds nothing wrong with every guard on: ${name}`, async () => {
      expect(await inTurn(() => play(scenario, restMs))).toEqual([]);
    });
  }

  for (const { guard, scenario, notice, ...off } of unharmed) {
    it(`finds nothing wrong without ${guard}, because ${notice}`, async () => {
      expect(await inTurn(() => play(guardScenarios[scenario], restMs, off))).toEqual([]);
    });
  }
});
