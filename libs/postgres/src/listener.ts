import { type Logger, type Part, sleep } from '@leakage/runtime';
import { readAddress } from './address.ts';
import { type Connection, connect, connectPatiently, defaultGuards } from './connection.ts';
import { assertIdentifier } from './migrate.ts';

/** Before a lost connection is made again: a server that ends it each time is not asked without a pause. */
const RECONNECT_PAUSE_MS = 250;

export interface ListenerOptions {
  url: string;
  applicationName: string;
  channel: string;
  /** Called for every notification, and after every (re)connect, because some may have been missed meanwhile. */
  onNotify: (payload: string) => void;
  log: Logger;
}

/**
 * Wakes somebody who also polls: LISTEN on a connection of its own, made again when it is lost. Resolves when listening;
 * `failed` rejects when Postgres cannot be reached any more.
 */
export async function startListener(o: ListenerOptions): Promise<Part> {
  assertIdentifier(o.channel);
  const stopping = new AbortController();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  let open: { connection: Connection; end(): Promise<void> } | null = null;

  const listen = async (): Promise<void> => {
    const { url, applicationName, log } = o;
    const setup = [`listen ${o.channel}`];
    const { signal } = stopping;
    open = await connectPatiently((address) => connect({ address, applicationName, guards: defaultGuards, setup }), {
      address: readAddress(url),
      log,
      signal,
    });
    open.connection.onNotification(o.onNotify);
    open.connection.onEnd(() => {
      if (!signal.aborted)
        listenAgain().catch((error: unknown) => (signal.aborted ? undefined : failure.reject(error)));
    });
    if (signal.aborted) await open.end();
    else o.onNotify('');
  };

  const listenAgain = async (): Promise<void> => {
    await sleep(RECONNECT_PAUSE_MS, stopping.signal);
    await listen();
  };

  await listen();
  return {
    name: `listener of ${o.channel}`,
    failed: failure.promise,
    async stop() {
      stopping.abort();
      await open?.end();
    },
  };
}
