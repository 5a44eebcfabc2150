import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface FeedOrder {
  readonly file: string;
  readonly brokers: string;
  readonly prefix: string;
  /** How many records of the file were sent before. */
  readonly skip: number;
  /** How many to send at most. */
  readonly records: number;
  /** Records a second; null: as fast as Kafka takes them. */
  readonly rate: number | null;
  readonly probes: number;
  readonly probesPerSecond: number;
}

/** `dueAt`: epoch milliseconds at which a probe had to be sent. */
export type FeedReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'sent'; readonly records: number }
  | { readonly kind: 'probe'; readonly dueAt: number }
  | { readonly kind: 'done'; readonly sent: number };

export interface Feed {
  readonly pid: number;
  /** It sends from here on. */
  readonly ready: Promise<void>;
  /** How many records it has sent in the end. */
  readonly done: Promise<number>;
  readonly sent: () => number;
  /** When each probe was due. */
  readonly probesDue: readonly number[];
  stop(): Promise<number>;
}

const program = fileURLToPath(new URL('feed.ts', import.meta.url));

export function startFeed(order: FeedOrder): Feed {
  const child: ChildProcess = fork(program, [JSON.stringify(order)]);
  const probesDue: number[] = [];
  let sent = 0;
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<number>();
  ready.promise.catch(() => undefined);
  child.on('message', (message) => {
    const report = message as FeedReport;
    if (report.kind === 'ready') ready.resolve();
    else if (report.kind === 'sent') sent = report.records;
    else if (report.kind === 'probe') probesDue.push(report.dueAt);
    else done.resolve(report.sent);
  });
  child.once('exit', (code) => {
    const error = new Error(`the load ended with code ${code}`);
    ready.reject(error);
    done.reject(error);
  });
  return {
    pid: child.pid ?? -1,
    ready: ready.promise,
    done: done.promise,
    sent: () => sent,
    probesDue,
    stop: () => {
      if (child.connected) child.send('stop');
      return done.promise;
    },
  };
}
