import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { runnerIsThere } from '../generations/presence.ts';
import type { GenerationRunner } from '../generations/runner.ts';
import type { Screen } from '../up/screen.ts';
import { isBuilt, type RebuildProgress, readRebuildProgress, rebuildLine } from './progress.ts';

const LOOK_MS = 1_000;
/** A rate is taken over the last looks, so that one slow batch does not frighten anybody. */
const LOOKS_KEPT = 10;

export interface WatchOptions {
  readonly pool: Pool;
  readonly generation: number;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Starts processes for it here; asked where no program runs that does so. */
  readonly runHere: () => GenerationRunner;
}

/** Shows how a generation is built until it is, or until somebody has seen enough (null). */
export async function watchRebuild(o: WatchOptions): Promise<RebuildProgress | null> {
  const own = (await runnerIsThere(o.pool)) ? null : o.runHere();
  if (own !== null) {
    o.screen.say(
      'Nothing runs here that works on generations (leakage up does): this command does it itself, until Ctrl-C.',
    );
  }
  try {
    await own?.start();
    return await show(o);
  } finally {
    o.screen.renew('');
    await own?.stop();
  }
}

async function show({ pool, generation, screen, signal }: WatchOptions): Promise<RebuildProgress | null> {
  const looks: { at: number; read: number }[] = [];
  while (!signal.aborted) {
    const progress = await readRebuildProgress(pool, generation);
    if (progress.state === 'dropped') throw new CommandError(`Generation ${generation} was dropped meanwhile.`);
    const now = { at: performance.now(), read: progress.read };
    const [first] = looks;
    const before = first === undefined ? null : { read: first.read, seconds: (now.at - first.at) / 1_000 };
    screen.renew(rebuildLine(progress, before));
    if (isBuilt(progress)) return progress;
    looks.push(now);
    if (looks.length > LOOKS_KEPT) looks.shift();
    await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return null;
}
