/** How much of the machine a process may take, where it is not all that there is. */
export interface PaceLimits {
  /** The part of its time in which it works: 1 to 100. */
  readonly sharePercent: number;
  /** Null: as many as it can. */
  readonly recordsPerSecond: number | null;
}

/** One rest: heartbeats, orders and a stop are heeded between two. */
const REST_MS_MAX = 5_000;

/** How long to rest after a batch so that both limits are kept, in milliseconds. */
export function restMs(work: { readonly records: number; readonly ms: number }, limits: PaceLimits): number {
  const { sharePercent, recordsPerSecond } = limits;
  const forShare = (work.ms * (100 - sharePercent)) / sharePercent;
  const forRate = recordsPerSecond === null ? 0 : (work.records * 1_000) / recordsPerSecond - work.ms;
  return Math.min(REST_MS_MAX, Math.max(0, forShare, forRate));
}
