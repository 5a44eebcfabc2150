import { destination } from 'pino';
import { answerLines } from './answers.ts';
import { type CommonSettings, commonSettings } from './common-settings.ts';
import { HealthState, startHealthServer } from './health.ts';
import { Lifecycle, type Part } from './lifecycle.ts';
import { createLogger, type Logger } from './logger.ts';
import { Metrics } from './metrics.ts';
import { loadSettings, SettingsError, type Spec, settingsHelp } from './settings.ts';
import { withDeadline } from './timing.ts';

export interface ServiceContext<S> {
  readonly settings: S & CommonSettings;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
  /** Aborted as soon as the service is asked to stop: every wait of `start` must heed it. */
  readonly signal: AbortSignal;
  /** Hands a started part over: it is stopped in reverse order, and its failure ends the service. */
  readonly own: <T extends Part>(part: T) => T;
  /** Ends the service in order, with exit code 0: for one that has done all it had to do. */
  readonly stop: (reason: string) => void;
}

/** What a service has while it prepares or checks the database. */
export type PrepareContext<S> = Pick<ServiceContext<S>, 'settings' | 'log'>;

export interface ServiceOptions<S> {
  readonly name: string;
  /** One sentence: what the service does. */
  readonly help: string;
  /** Default of METRICS_PORT. */
  readonly metricsPort: number;
  /** The service's own settings; LOG_LEVEL, METRICS_HOST and METRICS_PORT come with every service. */
  readonly settings: Spec<S>;
  /** Brings what the service owns in the database to its newest form: all that it does when it is run with --prepare. */
  prepare?(context: PrepareContext<S>): Promise<unknown>;
  /** What the database lacks of what the service needs, in sentences: all that it does when it is run with --check. */
  check?(context: PrepareContext<S>): Promise<readonly string[]>;
  /** Answers questions about its rules, a line of JSON for each, in their order: all that it does when it is run with --judge. */
  judge?(context: PrepareContext<S>, questions: AsyncIterable<string>): AsyncIterable<string>;
  /** Removes what an erasure names, an order of it a line of JSON, with answers likewise: all that it does with --erase. */
  erase?(context: PrepareContext<S>, orders: AsyncIterable<string>): AsyncIterable<string>;
  /** Starts parts in order. When it returns, the service is started; ready it is when every health check says so. */
  start(context: ServiceContext<S>): Promise<void>;
  readonly shutdownDeadlineMs?: number;
}

/** Why a service ends. */
type Ending =
  | { readonly kind: 'requested'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: unknown; readonly part: string };

const defaultShutdownDeadlineMs = 15_000;
/** Starting again with the same settings would end the same way: a supervisor need not try. */
const wrongSettings = 2;
/** A check says no. */
const lacking = 3;

/**
 * Runs a service until it is asked to stop (SIGTERM, SIGINT, its parent's IPC channel closes) or fails, then ends the process.
 * Exit codes: 0 stopped as asked; 1 failed, or did not stop within the deadline, or a second signal came; 2 wrong usage or settings.
 */
export async function runService<S>(options: ServiceOptions<S>): Promise<void> {
  const spec = { ...options.settings, ...commonSettings({ metricsPort: options.metricsPort }) } as Spec<
    S & CommonSettings
  >;
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${usage(options, settingsHelp(spec))}\n`);
    return;
  }
  const mode = modes.find((one) => args.length === 1 && args[0] === `--${one}` && options[one] !== undefined);
  if (args.length > 0 && mode === undefined) {
    return refuse([`${options.name} does not know ${args.join(' ')} (settings are environment variables; see --help)`]);
  }
  let settings: S & CommonSettings;
  try {
    settings = loadSettings(spec);
  } catch (error) {
    return refuse(
      error instanceof SettingsError ? error.problems : [error instanceof Error ? error.message : String(error)],
    );
  }
  process.exit(mode === undefined ? await run(options, settings) : await runOnce(options, mode, settings));
}

/** What a service can do instead of running. */
const modes = ['prepare', 'check', 'judge', 'erase'] as const;

async function runOnce<S>(
  options: ServiceOptions<S>,
  mode: (typeof modes)[number],
  settings: S & CommonSettings,
): Promise<number> {
  // Where stdout belongs to the answers, the log goes to stderr.
  const stream = destination({ fd: mode === 'judge' || mode === 'erase' ? 2 : 1, sync: true });
  const log = createLogger({ service: options.name, level: settings.logLevel, stream });
  try {
    switch (mode) {
      case 'prepare':
        await options.prepare?.({ settings, log });
        return 0;
      case 'check': {
        const problems = (await options.check?.({ settings, log })) ?? [];
        for (const problem of problems) log.error(problem);
        return problems.length > 0 ? lacking : 0;
      }
      case 'judge': {
        const { stdin: questions, stdout: answers } = process;
        await answerLines((lines) => options.judge?.({ settings, log }, lines) ?? lines, { questions, answers });
        return 0;
      }
      case 'erase': {
        const { stdin: questions, stdout: answers } = process;
        await answerLines((lines) => options.erase?.({ settings, log }, lines) ?? lines, { questions, answers });
        return 0;
      }
    }
  } catch (error) {
    log.fatal({ err: error }, `--${mode} failed: ${messageOf(error)}`);
    return error instanceof SettingsError ? wrongSettings : 1;
  }
}

async function run<S>(options: ServiceOptions<S>, settings: S & CommonSettings): Promise<number> {
  const log = createLogger({ service: options.name, level: settings.logLevel });
  const deadlineMs = options.shutdownDeadlineMs ?? defaultShutdownDeadlineMs;
  const ending = Promise.withResolvers<Ending>();
  const abort = new AbortController();
  const health = new HealthState();
  const metrics = new Metrics();
  const end = (how: Ending): void => {
    if (how.kind === 'failed') health.fail(messageOf(how.error));
    health.setReady('running', false, 'stopping');
    ending.resolve(how);
    abort.abort();
  };
  const lifecycle = new Lifecycle(log, (error, part) => end({ kind: 'failed', error, part: part.name }));
  watchProcess(log, (reason) => end({ kind: 'requested', reason }));

  const starting = start(options, { settings, log, metrics, health, lifecycle, signal: abort.signal, end });
  const how = await ending.promise;
  if (how.kind === 'failed')
    log.fatal({ err: how.error, part: how.part }, `${how.part} failed: ${messageOf(how.error)}`);
  else log.info({ reason: how.reason }, 'stopping');

  const began = performance.now();
  const settled = await settle(starting, deadlineMs, log);
  const { clean } = await lifecycle.stop(Math.max(1, deadlineMs - (performance.now() - began)));
  log.info({ clean: clean && settled, ms: Math.round(performance.now() - began) }, 'stopped');
  if (how.kind === 'failed') return how.error instanceof SettingsError ? wrongSettings : 1;
  return clean && settled ? 0 : 1;
}

interface Starting<S> extends Omit<ServiceContext<S>, 'own' | 'stop'> {
  readonly lifecycle: Lifecycle;
  readonly end: (how: Ending) => void;
}

/** Never rejects: a failed start is an ending like any other, and its parts are stopped like any others. */
async function start<S>(options: ServiceOptions<S>, starting: Starting<S>): Promise<void> {
  const { settings, log, metrics, health, lifecycle, signal, end } = starting;
  health.setReady('running', false, 'starting');
  try {
    metrics.collectProcessMetrics();
    const server = await startHealthServer({ host: settings.metricsHost, port: settings.metricsPort, health, metrics });
    lifecycle.own(server);
    log.info({ node: process.version, health: `http://${settings.metricsHost}:${server.port}` }, 'starting');
    await options.start({
      settings,
      log,
      metrics,
      health,
      signal,
      own: (part) => lifecycle.own(part),
      stop: (reason) => end({ kind: 'requested', reason }),
    });
    if (signal.aborted) return;
    health.setReady('running', true);
    log.info('started');
  } catch (error) {
    // An aborted start is what a stop during the start looks like.
    if (!signal.aborted) end({ kind: 'failed', error, part: 'start' });
  }
}

async function settle(starting: Promise<void>, deadlineMs: number, log: Logger): Promise<boolean> {
  try {
    await withDeadline(starting, deadlineMs, 'ending the start');
    return true;
  } catch (error) {
    log.error({ err: error }, 'the start did not heed the request to stop');
    return false;
  }
}

function watchProcess(log: Logger, requestStop: (reason: string) => void): void {
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    if (signals === 1) requestStop(signal);
    else {
      log.error({ signal }, 'asked twice to stop: leaving at once');
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // Whoever started this process with an IPC channel is gone: nobody is left to stop it.
  if (process.connected) process.on('disconnect', () => requestStop('the parent process is gone'));
  // After an error that nobody expected no state can be trusted; everything that matters is in Postgres (law 1).
  const crash = (error: unknown): void => {
    log.fatal({ err: error }, `unexpected error: ${messageOf(error)}`);
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
}

function refuse(problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exitCode = wrongSettings;
}

function usage<S>(options: ServiceOptions<S>, settings: string): string {
  const { name, help } = options;
  const lines = [
    ...(options.prepare !== undefined
      ? ['  --prepare  bring its part of the database to its newest form (leakage init does this for all)']
      : []),
    ...(options.check !== undefined
      ? ['  --check    say what the database lacks of what it needs; exit code 3 if anything (leakage doctor)']
      : []),
    ...(options.judge !== undefined
      ? ['  --judge    answer what would become of records, a line of JSON each (leakage quarantine try)']
      : []),
    ...(options.erase !== undefined
      ? ['  --erase    remove what an erasure names from a generation, an order of it a line (leakage erase)']
      : []),
  ];
  const instead = lines.length === 0 ? '' : `\n\nInstead of running:\n${lines.join('\n')}`;
  return `${help}\n\nUsage: npx node services/${name}/src/main.ts${instead}\n\nSettings (environment variables, else the file env in LEAKAGE_DATA_DIR):\n${settings}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
