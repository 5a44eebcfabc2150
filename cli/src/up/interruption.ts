/** Ctrl-C and its relatives, and the end of a parent that holds a channel to us, as one signal that is aborted once. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Called when somebody insists. */
  onInsist(action: () => void): void;
  [Symbol.dispose](): void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// The terminal sends Ctrl-C to us and to npm, and npm sends it on to us: two signals, one wish.
const sameWishMs = 1_500;

export function watchInterruption(): Interruption {
  const abort = new AbortController();
  const insisting: (() => void)[] = [];
  let firstAt = 0;
  const onSignal = () => {
    if (!abort.signal.aborted) {
      firstAt = Date.now();
      abort.abort(new Error('interrupted'));
    } else if (Date.now() - firstAt > sameWishMs) {
      for (const action of insisting) action();
    }
  };
  const onLostTerminal = () => abort.abort(new Error('the terminal is gone'));
  const onLostParent = () => abort.abort(new Error('the parent process is gone'));
  for (const signal of signals) process.on(signal, onSignal);
  if (process.connected) process.on('disconnect', onLostParent);
  process.stdout.on('error', onLostTerminal);
  return {
    signal: abort.signal,
    onInsist: (action) => insisting.push(action),
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, onSignal);
      process.off('disconnect', onLostParent);
      process.stdout.off('error', onLostTerminal);
    },
  };
}

/** Resolves when the signal is aborted, or at once where it is. */
export async function aborted(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}
