import type { Connection, Pool } from '@leakage/postgres';

/** The connections whose statements are to end when a signal is aborted. */
export interface Cancelling {
  watch(connection: Connection): Promise<void>;
  /** Nothing is cancelled any more. */
  stop(): void;
}

const againMs = 200;

/**
 * As soon as `signal` is aborted, what the server does for the watched connections is cancelled, again and again until `stop`:
 * a cancellation that comes between two statements meets nothing. `pool` must have a connection free for it.
 */
export function cancelOnAbort(pool: Pool, signal: AbortSignal | undefined): Cancelling {
  const pids: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  const cancel = () => {
    // A server that does not answer cannot be told; the connection to it is given up elsewhere.
    void pool.query('select pg_cancel_backend(pid) from unnest($1::int[]) as t (pid)', [pids]).catch(() => undefined);
  };
  const onAbort = () => {
    cancel();
    timer = setInterval(cancel, againMs);
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  return {
    async watch(connection) {
      signal?.throwIfAborted();
      const { rows } = await connection.query<{ pid: number }>('select pg_backend_pid() as pid');
      pids.push(...rows.map(({ pid }) => pid));
    },
    stop() {
      signal?.removeEventListener('abort', onAbort);
      clearInterval(timer);
    },
  };
}
