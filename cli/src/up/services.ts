import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataFolder, freePorts } from '../../local/index.ts';
import type { WorkedOn } from '../generations/worked-on.ts';
import { withoutRules } from '../service-once.ts';
import { SupervisedService } from './supervisor.ts';

/** What the product consists of, with the usual port of each one's health. */
const pipeline = [
  ['bronze-sink', 9101],
  ['api', 9105],
] as const;
const joiner = ['silver-joiner', 9102] as const;
/** What every generation has processes of. */
const ofGeneration = [joiner, ['gold-aggregator', 9103]] as const;
/** Joiners of a generation that is built in a hurry; more are no faster where Postgres shares their processors. */
const JOINERS_MAX = 2;
const generator = ['generator', 9100] as const;

const projectFolder = join(import.meta.dirname, '..', '..', '..');

export interface RunningService {
  readonly service: SupervisedService;
  readonly healthUrl: string;
  /** Wanted only as long as the generation is hurried. */
  readonly whileHurried?: true;
}

export interface StartServicesOptions {
  readonly folder: DataFolder;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
}

export function startPipeline(o: StartServicesOptions): Promise<RunningService[]> {
  return start(pipeline, o);
}

/**
 * The processes of one generation. The active one's hear what the settings say about rules, and refuse to mix them; the others
 * were made with rules of their own.
 */
export async function startGeneration(
  o: StartServicesOptions,
  { id, state, hurried }: WorkedOn,
): Promise<RunningService[]> {
  const more = hurried ? Math.min(JOINERS_MAX, availableParallelism()) - 1 : 0;
  const env = {
    ...o.env,
    ...(state === 'active' ? {} : withoutRules),
    GENERATION: String(id),
    BRONZE_READERS: String(more + 1),
  };
  const suffix = state === 'active' ? '' : `-${id}`;
  const beside = Array.from({ length: more }, (_, i) => [...joiner, `-beside-${i + 1}`] as const);
  const running = await start([...ofGeneration, ...beside], { ...o, env, suffix, mayFinish: true });
  return running.map((one, i) => (i < ofGeneration.length ? one : { ...one, whileHurried: true }));
}

export async function startGenerator(o: StartServicesOptions): Promise<RunningService | undefined> {
  const [running] = await start([generator], { ...o, mayFinish: true });
  return running;
}

const firstVerificationMs = 3 * 60_000;

/** Verifies again and again, beside everything else; the first time a few minutes after the start. */
export function startVerifier(o: StartServicesOptions, everyMs: number): SupervisedService {
  const seconds = (ms: number) => `${Math.ceil(ms / 1000)}s`;
  const plan = {
    name: 'verifier',
    script: join(projectFolder, 'cli', 'bin', 'leakage.mjs'),
    args: ['verify', '--every', seconds(everyMs), '--first-in', seconds(Math.min(everyMs, firstVerificationMs))],
    env: o.env,
  };
  return new SupervisedService(plan, { folder: o.folder, cwd: projectFolder, say: o.say });
}

async function start(
  table: readonly (readonly [name: string, port: number, suffix?: string])[],
  o: StartServicesOptions & { readonly suffix?: string; readonly mayFinish?: boolean },
): Promise<RunningService[]> {
  const ports = await freePorts(table.map(([, port]) => port));
  return table.map(([name, , own = ''], i) => {
    const plan = {
      name: `${name}${o.suffix ?? ''}${own}`,
      script: join(projectFolder, 'services', name, 'src', 'main.ts'),
      env: { ...o.env, METRICS_HOST: '127.0.0.1', METRICS_PORT: String(ports[i]) },
      mayFinish: o.mayFinish ?? false,
    };
    const service = new SupervisedService(plan, { folder: o.folder, cwd: projectFolder, say: o.say });
    return { service, healthUrl: `http://127.0.0.1:${ports[i]}` };
  });
}

async function isReady({ healthUrl }: RunningService): Promise<boolean> {
  try {
    const answer = await fetch(`${healthUrl}/readyz`, { signal: AbortSignal.timeout(3_000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false; // not listening yet, or busy: asked again soon
  }
}

/** The part of its history that the generator has sent: 0 to 1, or null while it does not answer. */
export async function historySent({ service, healthUrl }: RunningService): Promise<number | null> {
  if (service.over) return 1; // whatever it had to send, it has sent
  try {
    const answer = await fetch(`${healthUrl}/metrics`, { signal: AbortSignal.timeout(3_000) });
    const value = /^leakage_generator_history_ratio(?:\{[^}]*\})? ([\d.e+-]+)$/m.exec(await answer.text())?.[1];
    return value === undefined ? null : Number(value);
  } catch {
    return null; // not listening yet, or busy: asked again soon
  }
}

/** The names of those that are not ready after the deadline; empty when all are. */
export async function waitUntilReady(
  running: readonly RunningService[],
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<string[]> {
  let waiting = [...running];
  for (const until = Date.now() + withinMs; waiting.length > 0 && Date.now() < until && !signal.aborted; ) {
    const answers = await Promise.all(waiting.map(isReady));
    waiting = waiting.filter((one, i) => !answers[i] && !one.service.over);
    if (waiting.length > 0) await sleep(200);
  }
  return waiting.map(({ service }) => service.name);
}
