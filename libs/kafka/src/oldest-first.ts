/** Records that wait, in order. */
export interface Queue {
  readonly records: number;
  /** When Kafka got the record that `ahead` others are before. */
  timestampAt(ahead: number): number;
}

/** This part of an equal share is everybody's, however young: a producer whose clock is wrong must not keep others waiting. */
const guaranteedPart = 1 / 16;
/** Taken from one queue at a time, as a part of an equal share: fine enough to stay aligned, coarse enough to be quick. */
const runPart = 1 / 8;

/**
 * How many of each queue are taken when `limit` are taken in all: the oldest, so that topics of different sizes that are caught
 * up with stay aligned in time. Among equally old ones everybody gets the same. Of queues that get nothing else, the first ones
 * come before the others.
 */
export function oldestFirst(queues: readonly Queue[], limit: number): number[] {
  const available = queues.map(({ records }) => records);
  if (available.reduce((sum, records) => sum + records, 0) <= limit) return available;
  const equal = limit / queues.length;
  const run = Math.max(1, Math.floor(equal * runPart));
  const shares = available.map((records) => Math.min(records, Math.floor(equal * guaranteedPart)));
  let left = limit - shares.reduce((sum, share) => sum + share, 0);
  while (left > 0) {
    let oldest = -1;
    let age = Number.POSITIVE_INFINITY;
    for (const [at, queue] of queues.entries()) {
      const share = shares[at] ?? 0;
      if (share >= queue.records) continue;
      const timestamp = queue.timestampAt(share);
      if (oldest >= 0 && (timestamp > age || (timestamp === age && share >= (shares[oldest] ?? 0)))) continue;
      oldest = at;
      age = timestamp;
    }
    const share = shares[oldest] ?? 0;
    const given = Math.min(run, left, (available[oldest] ?? 0) - share);
    shares[oldest] = share + given;
    left -= given;
  }
  return shares;
}
