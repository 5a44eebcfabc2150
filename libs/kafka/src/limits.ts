import type { ConsumerLimits } from './types.ts';

/** Law 10. The reasons that are not plain stand beside the numbers. */
export const consumerLimits: ConsumerLimits = {
  maxBatchRecords: 10_000,
  maxBatchBytes: 16 * 1024 * 1024,
  bufferRecordsPerPartition: 10_000,
  bufferBytes: 32 * 1024 * 1024,
  lingerMs: 0,
  // Longer than a rebalance may take (60 s), during which nothing is fetched.
  stallMs: 90_000,
  applyMs: 300_000,
  failuresMax: 8,
  movedMax: 100,
  misplacedMax: 20,
  endsMs: 5_000,
  hintMs: 1_000,
  // Below the 15 s that a service has for its whole shutdown.
  stopMs: 12_000,
  sessionTimeoutMs: 30_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatMs: 3_000,
  // How late partitions that were added to a topic are noticed.
  metadataMs: 30_000,
  fetchWaitMs: 250,
  fetchBytes: 8 * 1024 * 1024,
  // With less, one fetch does not last for one transaction (measured: 256 KB gives less than half the rate of 1 MB).
  fetchBytesPerPartition: 1024 * 1024,
};

/** The limits among the options of a consumer, and the usual ones where none are given. */
export function limitsOf(options: Partial<ConsumerLimits>): ConsumerLimits {
  const given = Object.entries(options).filter(([name, value]) => name in consumerLimits && value !== undefined);
  return { ...consumerLimits, ...(Object.fromEntries(given) as Partial<ConsumerLimits>) };
}
