import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaClient, ensureTopics, type KafkaClient, kafkaClientOptions } from '@leakage/kafka';
import { activeGeneration, createPool, type Pool } from '@leakage/postgres';
import { formatEnvironmentFile, type Logger } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import { freePorts, isFree, type LocalStack, replaceFile } from '../../local/index.ts';
import { CommandError } from '../command-error.ts';
import { quietLogger } from '../connect.ts';
import { connectionChecks } from '../doctor/connections.ts';
import { keepPresence } from '../generations/presence.ts';
import { GenerationRunner } from '../generations/runner.ts';
import type { WorkedOn } from '../generations/worked-on.ts';
import { aborted, type Interruption } from './interruption.ts';
import { isCaughtUp, type Progress, readProgress } from './progress.ts';
import { progressLine, type Screen } from './screen.ts';
import {
  historySent,
  type RunningService,
  type StartServicesOptions,
  startGeneration,
  startGenerator,
  startPipeline,
  startVerifier,
  waitUntilReady,
} from './services.ts';
import { kafkaEnvironment, passedOnSettings, type UpSettings, verifyEveryMs } from './settings.ts';
import { summary } from './summary.ts';
import type { SupervisedService } from './supervisor.ts';
import { differenceTeller } from './verdicts.ts';

export interface ProductOptions {
  readonly stack: LocalStack;
  readonly settings: UpSettings;
  readonly screen: Screen;
  readonly interruption: Interruption;
  /** Whether synthetic events are made. */
  readonly generator: boolean;
}

interface Product extends ProductOptions {
  /** Aborted when everything has to stop, for whatever reason. */
  readonly over: AbortSignal;
  readonly kafka: KafkaClient;
  readonly pool: Pool;
  readonly topics: readonly string[];
  readonly envFile: string;
  readonly apiUrl: string;
  /** Stops it at the end. */
  readonly own: (service: SupervisedService) => void;
  /** And ends everything when it is beyond help. */
  readonly supervise: (service: SupervisedService) => void;
  /** The same for the processes of generations; what is beyond help of the active one ends everything. */
  readonly runGenerations: (start: (generation: WorkedOn) => Promise<RunningService[]>) => Promise<RunningService[]>;
}

const readyWithinMs = 120_000;
const lookEveryMs = 1_000;

/**
 * Runs the services over a stack until it is interrupted (null) or something is beyond help (a sentence), and stops
 * everything, the stack too: services first, then Postgres, then Kafka.
 */
export async function runProduct(o: ProductOptions): Promise<string | null> {
  const { stack, interruption, screen } = o;
  const over = new AbortController();
  let trouble: string | null = null;
  const end = (why: string | null) => {
    if (!over.signal.aborted) trouble = why;
    over.abort();
  };
  interruption.signal.addEventListener('abort', () => end(null));
  if (interruption.signal.aborted) end(null);
  void stack.broken.then(end);

  const log = quietLogger('up');
  const running: SupervisedService[] = [];
  let generations: GenerationRunner | null = null;
  interruption.onInsist(() => {
    for (const service of running) service.kill();
    generations?.kill();
  });
  const pool = createPool({ url: stack.databaseUrl, applicationName: 'leakage-up', max: 3, log });
  const envFile = join(stack.folder.path, 'env');
  try {
    const product: Product = {
      ...o,
      ...connectTo(stack, o.settings, log),
      over: over.signal,
      pool,
      envFile,
      apiUrl: await chooseApiUrl(o.settings, screen),
      own: (one) => running.push(one),
      supervise: (one) => {
        running.push(one);
        void one.broken.then(end);
      },
      runGenerations: (start) => {
        generations = new GenerationRunner({
          db: pool,
          serves: () => true,
          start,
          onBroken: (id, why) => {
            activeGeneration(pool).then(
              (active) => ((active ?? id) === id ? end(why) : screen.say(`Generation ${id} stands still: ${why}`)),
              () => end(why),
            );
          },
          say: screen.say,
        });
        return generations.start();
      },
    };
    void keepPresence(pool, over.signal);
    await untilOver(over.signal, run(product));
  } finally {
    over.abort();
    screen.renew('');
    screen.say('Stopping ...');
    await Promise.all([...running.map((service) => service.stop()), stopped(generations)]);
    await pool.stop();
    rmSync(envFile, { force: true });
    await stack.stop();
  }
  return trouble;
}

async function stopped(runner: GenerationRunner | null): Promise<void> {
  await runner?.stop();
}

function connectTo(stack: LocalStack, settings: UpSettings, log: Logger) {
  const access = kafkaClientOptions({ ...settings, kafkaBrokers: stack.brokers.split(',') });
  const kafka = createKafkaClient({ ...access, clientId: 'leakage-up', log });
  return { kafka, topics: topicTable(settings.topicPrefix).map((topic) => topic.name) };
}

/** The work, or the end, whichever comes first; what fails after the end is nobody's business any more. */
async function untilOver(over: AbortSignal, work: Promise<void>): Promise<void> {
  await Promise.race([aborted(over), work]);
}

async function run(p: Product): Promise<void> {
  await checkGiven(p);
  p.screen.say(`Kafka ${p.stack.brokers}, Postgres ready`);
  const { created, differences } = await ensureTopics(p.kafka, topicTable(p.settings.topicPrefix));
  for (const difference of differences) p.screen.say(`Note: ${difference}`);
  if (created.length > 0) p.screen.say(`Created topics ${created.join(', ')}`);
  replaceFile(p.envFile, environmentText(p));
  const generator = await startServices(p);
  await watch(p, generator);
}

/** Servers that are not ours may not be there at all, or too old: better one sentence now than five services that crash. */
async function checkGiven({ stack, settings, screen }: Product): Promise<void> {
  const addresses = { ...kafkaEnvironment(settings, stack.brokers), DATABASE_URL: stack.databaseUrl };
  const own = { ownKafka: !settings.kafkaBrokers, ownPostgres: !settings.databaseUrl };
  const checks = await connectionChecks(addresses, { running: false, ...own });
  for (const { name, state, found, remedy } of checks) {
    if (state === 'no') throw new CommandError(`${name}: ${found}. ${remedy}`);
    if (state === 'note') screen.say(`${name}: ${found}. ${remedy}`);
  }
}

/** With passwords, as long as the product runs: only its owner may read the file. */
function environmentText({ stack, settings }: Product): string {
  return formatEnvironmentFile({
    ...kafkaEnvironment(settings, stack.brokers),
    DATABASE_URL: stack.databaseUrl,
    ...passedOnSettings(),
  });
}

async function chooseApiUrl({ apiHost, apiPort }: UpSettings, screen: Screen): Promise<string> {
  let port = apiPort;
  if (!(port > 0 && (await isFree(port, apiHost)))) {
    [port = 0] = await freePorts([0]);
    if (apiPort > 0)
      screen.say(`Port ${apiPort} is taken: the api listens on ${port} instead (API_PORT chooses another)`);
  }
  const host = apiHost === '0.0.0.0' || apiHost === '::' ? '127.0.0.1' : apiHost;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function serviceOptions(p: Product): StartServicesOptions {
  const env = {
    ...process.env,
    ...kafkaEnvironment(p.settings, p.stack.brokers),
    DATABASE_URL: p.stack.databaseUrl,
    LEAKAGE_DATA_DIR: p.stack.folder.path,
    API_PORT: new URL(p.apiUrl).port,
  };
  return { folder: p.stack.folder, env, say: p.screen.say };
}

/** Starts them, waits until they are ready, and only then lets events come. */
async function startServices(p: Product): Promise<RunningService | undefined> {
  const o = serviceOptions(p);
  const ofProduct = await startPipeline(o);
  for (const { service } of ofProduct) p.supervise(service);
  const pipeline = [...ofProduct, ...(await p.runGenerations((generation) => startGeneration(o, generation)))];
  p.screen.say(`Starting ${pipeline.map(({ service }) => service.name).join(', ')}`);
  const late = await waitUntilReady(pipeline, { withinMs: readyWithinMs, signal: p.over });
  if (p.over.aborted) return undefined;
  for (const name of late) p.screen.say(`${name} is not ready yet; see ${join(p.stack.folder.logs, `${name}.log`)}`);
  if (!p.generator) return undefined;
  const generator = await startGenerator(o);
  if (generator) superviseGenerator(p, generator);
  p.screen.say('The generator sends events: some history first, then live');
  return generator;
}

/** Without it there is no new event, and everything else goes on. */
function superviseGenerator(p: Product, { service }: RunningService): void {
  p.own(service);
  void service.broken.then((why) => p.screen.say(`No synthetic events any more: ${why}`));
}

/** Nobody waits for it either. It begins when the history is through: before that it would only be in the way. */
function superviseVerifier(p: Product): void {
  const everyMs = verifyEveryMs(p.settings);
  if (everyMs === null) return;
  const verifier = startVerifier(serviceOptions(p), everyMs);
  p.own(verifier);
  void verifier.broken.then((why) => p.screen.say(`Nothing is verified any more: ${why}`));
}

/** Shows progress until the end, and once, when the history is through (or everything is ready), the summary. */
async function watch(p: Product, generator: RunningService | undefined): Promise<void> {
  let before: { progress: Progress; at: number } | null = null;
  const tellDifferences = differenceTeller(p.pool, p.screen.say);
  for (let told = false; !p.over.aborted; await sleep(lookEveryMs)) {
    try {
      const progress = await readProgress({ ...p, goldSchema: p.settings.goldSchema });
      const history = generator ? await historySent(generator) : 1;
      const at = performance.now();
      if (p.over.aborted) return;
      const seconds = before ? (at - before.at) / 1000 : 0;
      p.screen.renew(progressLine({ progress, before: before?.progress ?? null, seconds, history }));
      before = { progress, at };
      if (!told && history === 1 && isCaughtUp(progress)) {
        told = true;
        for (const line of await summary({ ...p, progress })) p.screen.say(line);
        superviseVerifier(p);
      }
      await tellDifferences();
    } catch (error) {
      p.screen.renew(`progress cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
