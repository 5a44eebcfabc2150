import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@leakage/postgres';
import {
  type Cut,
  type FailPointOrder,
  type FaultServers,
  failPointsOf,
  type SupervisedProcess,
} from '@leakage/testing';
import { randomOf } from '../../support/random.ts';
import { type FaultPipeline, type Stage, stages } from './fault-pipeline.ts';

/** What is done to the running system; `nr` picks among the members that a stage has at that moment. */
export type Fault =
  | { readonly kind: 'kill'; readonly stage: Stage; readonly nr: number }
  | { readonly kind: 'kill at a step'; readonly stage: Stage; readonly nr: number; readonly order: FailPointOrder }
  | { readonly kind: 'zombie'; readonly stage: Stage; readonly nr: number; readonly order: FailPointOrder }
  | { readonly kind: 'pause'; readonly stage: Stage; readonly nr: number; readonly ms: number }
  | { readonly kind: 'join'; readonly stage: Stage }
  | { readonly kind: 'leave'; readonly stage: Stage; readonly nr: number }
  | { readonly kind: 'cut'; readonly stage: Stage; readonly cut: Cut }
  | { readonly kind: 'cut everything' }
  | { readonly kind: 'terminate backends'; readonly stage: Stage }
  | { readonly kind: 'clock'; readonly jumpMs: number }
  | { readonly kind: 'server'; readonly server: 'kafka' | 'postgres'; readonly how: 'restart' | 'kill' | 'pause' };

interface Step {
  readonly afterMs: number;
  readonly stories: number;
  readonly fault: Fault;
}

/** A function of its seed alone: the same seed does the same things in the same order again. */
export interface Schedule {
  readonly seed: number;
  readonly steps: readonly Step[];
}

const membersMax = 4;
/** How often each kind is drawn, in parts of the sum. Faults of servers take seconds each, so they are rare. */
const weights = {
  kill: 5,
  'kill at a step': 8,
  zombie: 3,
  pause: 2,
  join: 3,
  leave: 2,
  cut: 6,
  'cut everything': 1,
  'terminate backends': 2,
  clock: 1,
  server: 1,
} as const satisfies Record<Fault['kind'], number>;

export function planSchedule(
  seed: number,
  o: { readonly servers: boolean; readonly only?: readonly Fault['kind'][] },
): Schedule {
  const random = randomOf(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const kinds = (Object.keys(weights) as Fault['kind'][]).filter(
    (kind) => (o.servers || kind !== 'server') && (o.only?.includes(kind) ?? true),
  );
  const drawn = kinds.flatMap((kind) => Array.from({ length: weights[kind] }, () => kind));
  const fault = (): Fault => {
    const kind = pick(drawn);
    const stage = pick(stages);
    const nr = below(membersMax);
    const order = (signal: FailPointOrder['signal']): FailPointOrder => ({
      name: pick(failPointsOf(stage)).name,
      pass: 1 + below(3),
      signal,
    });
    switch (kind) {
      case 'kill':
      case 'leave':
        return { kind, stage, nr };
      case 'kill at a step':
        return { kind, stage, nr, order: order('SIGKILL') };
      case 'zombie':
        return { kind, stage, nr, order: order('SIGSTOP') };
      case 'pause':
        return { kind, stage, nr, ms: 200 + below(4_000) };
      case 'join':
      case 'terminate backends':
        return { kind, stage };
      case 'cut':
        return { kind, stage, cut: pick(stage === 'gold-aggregator' ? commitCuts : allCuts) };
      case 'cut everything':
        return { kind };
      case 'clock':
        return { kind, jumpMs: (random() - 0.5) * 4 * 86_400_000 };
      case 'server':
        return { kind, server: pick(['kafka', 'postgres'] as const), how: pick(['restart', 'kill', 'pause'] as const) };
    }
  };
  const steps = Array.from({ length: 2 + below(3) }, () => ({
    afterMs: below(600),
    stories: 2 + below(8),
    fault: fault(),
  }));
  return { seed, steps };
}

const commitCuts: readonly Cut[] = ['before COMMIT', 'after COMMIT'];
const allCuts: readonly Cut[] = ['in COPY', ...commitCuts];

export interface ScheduleRun {
  readonly pipeline: FaultPipeline;
  /** Where the members read by how much their clocks are wrong. */
  readonly clockFile: string;
  readonly servers?: FaultServers;
}

/** Sessions are 2 s: a process that is stopped for longer loses its partitions to others, and wakes up as a zombie. */
const zombieMs = 4_000;
const serverPauseMs = 3_000;

/** Does what a schedule says while records are fed. Everything that was stopped goes on again when this returns. */
export async function runSchedule({ steps }: Schedule, run: ScheduleRun): Promise<void> {
  const { pipeline } = run;
  const feeding = (async () => {
    for (const { afterMs, stories } of steps) {
      await sleep(afterMs / 2);
      await pipeline.feed(stories);
    }
    await pipeline.feed(3);
  })();
  // Met below; until then nobody must be told that it is nobody's.
  feeding.catch(() => undefined);
  const undone: Promise<void>[] = [];
  for (const { afterMs, fault } of steps) {
    await sleep(afterMs);
    await inflict(fault, run, undone);
  }
  await feeding;
  await Promise.all(undone);
  // What the schedule has started, stopped or put wrong is as at the beginning for the next one.
  for (const stage of stages) {
    for (const extra of pipeline.members(stage).slice(2)) await pipeline.leave(extra);
  }
  writeFileSync(run.clockFile, '0');
}

async function inflict(fault: Fault, run: ScheduleRun, undone: Promise<void>[]): Promise<void> {
  const { pipeline } = run;
  const member = (stage: Stage, nr: number): SupervisedProcess => {
    const members = pipeline.members(stage);
    return members[nr % members.length] as SupervisedProcess;
  };
  switch (fault.kind) {
    case 'kill':
      member(fault.stage, fault.nr).kill();
      return;
    case 'kill at a step':
      member(fault.stage, fault.nr).reborn(fault.order);
      return;
    case 'zombie': {
      // Others are there to take over what it holds.
      if (pipeline.members(fault.stage).length === 1) pipeline.join(fault.stage);
      const zombie = member(fault.stage, fault.nr);
      zombie.reborn(fault.order);
      undone.push(wakeWhenStopped(zombie));
      return;
    }
    case 'pause': {
      const paused = member(fault.stage, fault.nr);
      paused.pause();
      undone.push(sleep(fault.ms).then(() => paused.resume()));
      return;
    }
    case 'join':
      if (pipeline.members(fault.stage).length < membersMax) pipeline.join(fault.stage);
      return;
    case 'leave':
      if (pipeline.members(fault.stage).length > 1) await pipeline.leave(member(fault.stage, fault.nr));
      return;
    case 'cut':
      undone.push(pipeline.proxy.cutNext(fault.cut, fault.stage));
      undone.push(sleep(3_000).then(() => void pipeline.proxy.callOff()));
      return;
    case 'cut everything':
      pipeline.proxy.cutAll();
      return;
    case 'terminate backends':
      await terminateBackends(pipeline.pipeline.pool, fault.stage);
      return;
    case 'clock':
      writeFileSync(run.clockFile, String(Math.round(fault.jumpMs)));
      return;
    case 'server':
      await hurt(fault, run.servers);
  }
}

/** Lets it lie for long enough to lose its partitions; calls the zombie off when it does not come by in time. */
async function wakeWhenStopped(zombie: SupervisedProcess): Promise<void> {
  for (const until = performance.now() + 6_000; performance.now() < until && !zombie.isPaused(); ) await sleep(50);
  if (zombie.isPaused()) await sleep(zombieMs);
  zombie.resume();
}

export async function terminateBackends(pool: Pool, application: string): Promise<void> {
  await pool.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [application]);
}

async function hurt(fault: Extract<Fault, { kind: 'server' }>, servers?: FaultServers): Promise<void> {
  if (servers === undefined) throw new Error('this run has no servers that may be hurt');
  const server = servers[fault.server];
  switch (fault.how) {
    case 'restart':
      return await server.restart();
    case 'kill':
      return await server.killAndStart();
    case 'pause':
      server.pause();
      await sleep(serverPauseMs);
      server.resume();
  }
}
