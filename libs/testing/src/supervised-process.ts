import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FailPointOrder } from './fail-points.ts';
import type { ServiceName } from './service-name.ts';
import { type ServiceProcess, startServiceProcess, type Tampering } from './service-process.ts';

/** How one life of a supervised process ended. */
export interface Ended {
  readonly service: ServiceName;
  /** Null: a signal, as a rule one of ours. */
  readonly code: number | null;
  /** The message of its last line at level fatal, or an empty text. */
  readonly lastWords: string;
}

/** A service that is started again whenever it ends, as in production; until `stop`. */
export interface SupervisedProcess {
  readonly service: ServiceName;
  readonly current: () => ServiceProcess;
  /** Every end but the one that `stop` has asked for. */
  readonly ends: readonly Ended[];
  /** SIGKILL now; the next life begins at once. */
  readonly kill: () => void;
  /** SIGSTOP: it holds its connections, sockets and locks, and does nothing. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** SIGKILL now, and the next life does this to itself at a fail point. */
  readonly reborn: (order: FailPointOrder) => void;
  /** Whether its process is stopped by SIGSTOP right now (a fail point's or ours). */
  readonly isPaused: () => boolean;
  /** Lives so far. */
  readonly lives: () => number;
  readonly ready: () => Promise<void>;
  /** Everything that all lives have printed, the latest part of each. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

export interface SuperviseOptions extends Omit<Tampering, 'failPoint'> {
  readonly env: Readonly<Record<string, string>>;
  /** Between two lives. */
  readonly pauseMs?: number;
}

const keptCharacters = 2_000_000;
/** Starting again with the same settings ends the same way. */
const wrongSettings = 2;

export function superviseService(service: ServiceName, o: SuperviseOptions): SupervisedProcess {
  const ends: Ended[] = [];
  let order: FailPointOrder | undefined;
  let stopping = false;
  let lives = 0;
  let earlier = '';
  const start = (): ServiceProcess => {
    lives += 1;
    const { env, pauseMs: _, ...tampering } = o;
    const started = startServiceProcess(
      service,
      env,
      order === undefined ? tampering : { ...tampering, failPoint: order },
    );
    order = undefined;
    return started;
  };
  let current = start();
  const watch = async (): Promise<void> => {
    for (;;) {
      const code = await current.exited;
      if (stopping) return;
      const output = current.output();
      ends.push({ service, code, lastWords: lastWords(output) });
      earlier = (earlier + output).slice(-keptCharacters);
      await sleep(o.pauseMs ?? 100);
      if (stopping) return;
      current = start();
    }
  };
  const watching = watch();
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(current.pid, name);
    } catch {
      // It has just ended by itself.
    }
  };
  return {
    service,
    current: () => current,
    ends,
    kill: () => signal('SIGKILL'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    reborn: (next) => {
      order = next;
      signal('SIGKILL');
    },
    isPaused: () => stateOf(current.pid) === 'T',
    lives: () => lives,
    ready: async () => {
      for (;;) {
        const waited = current;
        try {
          return await waited.ready;
        } catch (error) {
          if (ends.at(-1)?.code === wrongSettings) throw error;
          // Killed on its way: the next life is the one to wait for. Alive and not ready: that is the answer.
          const until = performance.now() + 5_000;
          while (current === waited && performance.now() < until) await sleep(20);
          if (stopping || current === waited) throw error;
        }
      }
    },
    output: () => earlier + current.output(),
    stop: async () => {
      stopping = true;
      signal('SIGCONT');
      await current.stop();
      await watching;
    },
  };
}

/** The letter by which Linux names what a process does; empty when it is gone. */
function stateOf(pid: number): string {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

function lastWords(output: string): string {
  const line = output.split('\n').findLast((text) => text.includes('"level":"fatal"'));
  if (line === undefined) return '';
  const entry = JSON.parse(line) as { readonly msg?: string };
  return entry.msg ?? '';
}
