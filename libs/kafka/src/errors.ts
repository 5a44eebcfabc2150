/** Records that this pipeline has not read are gone: going on would skip them silently (law 3). */
export class LogLostError extends Error {
  override readonly name = 'LogLostError';
}

/** Under the stored name and position there is another log than the one that was read. */
export class LogReplacedError extends Error {
  override readonly name = 'LogReplacedError';
}

/** The brokers belong to another cluster than the stored positions. */
export class OtherClusterError extends Error {
  override readonly name = 'OtherClusterError';
}

/** An archive does not have what it says that it has. */
export class ArchiveLacksError extends Error {
  override readonly name = 'ArchiveLacksError';
}

/** Nothing moves although it should. */
export class StalledError extends Error {
  override readonly name = 'StalledError';
}

/** The consumer cannot go on for any other reason; the cause says which. */
export class ConsumerError extends Error {
  override readonly name = 'ConsumerError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
