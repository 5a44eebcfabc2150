import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataFolder, freePorts } from '../../local/index.ts';
import { SupervisedService } from './supervisor.ts';

/** What the product consists of, in the order in which records pass through it, with the usual port of each one's health. */
const pipeline = [
  ['bronze-sink', 9101],
  ['silver-joiner', 9102],
  ['gold-aggregator', 9103],
  ['api', 9105],
] as const;
const generator = ['generator', 9104] as const;

export const serviceNames: readonly string[] = [...pipeline, generator].map(([name]) => name);
export const projectFolder = join(import.meta.dirname, '..', '..', '..');

export interface RunningService {
  readonly service: SupervisedService;
  readonly healthUrl: string;
}

export interface StartServicesOptions {
  readonly folder: DataFolder;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
}

export function startPipeline(o: StartServicesOptions): Promise<RunningService[]> {
  return start(pipeline, o);
}

export async function startGenerator(o: StartServicesOptions): Promise<RunningService | undefined> {
  const [running] = await start([generator], o);
  return running;
}

async function start(
  table: readonly (readonly [string, number])[],
  o: StartServicesOptions,
): Promise<RunningService[]> {
  const ports = await freePorts(table.map(([, port]) => port));
  return table.map(([name], i) => {
    const plan = {
      name,
      script: join(projectFolder, 'services', name, 'src', 'main.ts'),
      env: { ...o.env, METRICS_HOST: '127.0.0.1', METRICS_PORT: String(ports[i]) },
      mayFinish: name === 'generator',
    };
    const service = new SupervisedService(plan, { folder: o.folder, cwd: projectFolder, say: o.say });
    return { service, healthUrl: `http://127.0.0.1:${ports[i]}` };
  });
}

/** Whether it says on /readyz that it is ready; what it waits for, if it says so. */
export async function readiness({ healthUrl }: RunningService): Promise<{ ready: boolean; text: string }> {
  try {
    const answer = await fetch(`${healthUrl}/readyz`, { signal: AbortSignal.timeout(3_000) });
    return { ready: answer.status === 200, text: (await answer.text()).trim() };
  } catch {
    return { ready: false, text: '' }; // not listening yet, or busy: asked again soon
  }
}

/** The names of those that are not ready after the deadline; empty when all are. */
export async function waitUntilReady(
  running: readonly RunningService[],
  { withinMs, signal }: { readonly withinMs: number; readonly signal: AbortSignal },
): Promise<string[]> {
  let waiting = [...running];
  for (const until = Date.now() + withinMs; waiting.length > 0 && Date.now() < until && !signal.aborted; ) {
    const answers = await Promise.all(waiting.map(readiness));
    waiting = waiting.filter((one, i) => !answers[i]?.ready && !one.service.finished);
    if (waiting.length > 0) await sleep(200);
  }
  return waiting.map(({ service }) => service.name);
}
