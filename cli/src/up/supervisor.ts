import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataFolder, type Ending, launch, type ServerProcess } from '../../local/index.ts';

export interface ServicePlan {
  readonly name: string;
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Exit code 0 means that it has done what it had to do, and it is not started again (by us). */
  readonly mayFinish?: boolean;
}

export interface SupervisorOptions {
  readonly folder: DataFolder;
  readonly cwd: string;
  readonly say: (line: string) => void;
}

/** Law 10: how often and how soon a service that crashes is started again. */
export interface RestartLimits {
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Crashes in a row before we give up. A service that ran for `calmMs` counts as well again. */
  readonly crashesMax: number;
  readonly calmMs: number;
}

const defaultLimits: RestartLimits = { firstPauseMs: 1_000, longestPauseMs: 30_000, crashesMax: 6, calmMs: 60_000 };

/** Longer than the deadline within which a service stops by itself. */
const stopSteps = [
  ['SIGTERM', 20_000],
  ['SIGKILL', 5_000],
] as const;
const wrongSettings = 2;

/** Keeps one service running: started again after a crash, with growing pauses, until it is stopped or beyond help. */
export class SupervisedService {
  readonly name: string;
  readonly logFile: string;
  /** Settles with a sentence when it is beyond help; never, when all is well. */
  readonly broken: Promise<string>;
  readonly #plan: ServicePlan;
  readonly #o: SupervisorOptions;
  readonly #limits: RestartLimits;
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;
  readonly #breakdown = Promise.withResolvers<string>();
  #process: ServerProcess | null = null;
  #over = false;

  constructor(plan: ServicePlan, o: SupervisorOptions, limits: RestartLimits = defaultLimits) {
    this.name = plan.name;
    this.#plan = plan;
    this.#o = o;
    this.#limits = limits;
    this.logFile = join(o.folder.logs, `${plan.name}.log`);
    this.broken = this.#breakdown.promise;
    this.#loop = this.#run();
  }

  /** Has done what it had to do, or is beyond help: it will not run again. */
  get over(): boolean {
    return this.#over;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#process?.stop();
    await this.#loop;
  }

  /** For a second Ctrl-C: now. */
  kill(): void {
    if (this.#process?.running()) process.kill(this.#process.pid, 'SIGKILL');
  }

  async #run(): Promise<void> {
    for (let crashes = 0; ; ) {
      const began = Date.now();
      const ending = await this.#start().ended;
      if (this.#stopping.signal.aborted) return;
      if (ending.code === 0 && this.#plan.mayFinish) {
        this.#over = true;
        return;
      }
      crashes = Date.now() - began > this.#limits.calmMs ? 1 : crashes + 1;
      const what = `${this.name} ${ending.text}${this.#lastWords()}`;
      if (ending.code === wrongSettings || crashes > this.#limits.crashesMax) {
        this.#over = true;
        this.#breakdown.resolve(`${what}. See ${this.logFile}.`);
        return;
      }
      const pauseMs = Math.min(this.#limits.firstPauseMs * 2 ** (crashes - 1), this.#limits.longestPauseMs);
      this.#o.say(`${what}; it starts again in ${Math.ceil(pauseMs / 1000)} s (${this.logFile})`);
      if (!(await this.#pause(pauseMs))) return;
    }
  }

  #start(): { readonly ended: Promise<Ending> } {
    this.#process = launch({
      name: this.name,
      runFolder: this.#o.folder.run,
      stop: { title: this.name, order: 0, steps: stopSteps },
      command: process.execPath,
      args: [this.#plan.script, ...(this.#plan.args ?? [])],
      cwd: this.#o.cwd,
      env: this.#plan.env,
      ipc: true,
      outputFile: this.logFile,
    });
    this.#o.folder.keepBounded(this.logFile);
    return this.#process;
  }

  /** False when we were asked to stop meanwhile. */
  async #pause(ms: number): Promise<boolean> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
    return !this.#stopping.signal.aborted;
  }

  /** The message of the last line that it logged above `info`, or that it printed as plain text. */
  #lastWords(): string {
    const lines = readFileSync(this.logFile, 'utf8').slice(-20_000).trimEnd().split('\n');
    for (const line of lines.toReversed().slice(0, 20)) {
      const text = line.startsWith('{') ? messageOf(line) : line;
      if (text !== '') return `: ${text.slice(0, 300)}`;
    }
    return '';
  }
}

function messageOf(line: string): string {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('level' in entry) || !('msg' in entry)) return '';
    return ['warn', 'error', 'fatal'].includes(String(entry.level)) ? String(entry.msg) : '';
  } catch {
    return ''; // cut off in the middle
  }
}
