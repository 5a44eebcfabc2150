import type { Verifications } from '../verify/verification-store.ts';

/** Everything that `leakage status` says, as one JSON document. Instants are ISO 8601; no member ids. */
export interface Status {
  at: string;
  generation: number;
  rules: { windowMinutes: number; timeZone: string; repeatScope: string };
  /** Null: Kafka does not answer. */
  caughtUp: boolean | null;
  topics: TopicStatus[];
  watermarks: { digital: string | null; calls: string | null; asOf: string | null };
  timings: Timings;
  /** Null: nobody is told (RELAY_CHANGES). */
  changeStream: ChangeStream | null;
  rows: { bronze: Counts; silver: Counts; gold: Counts };
  outcomes: Outcomes & { holes: number; records: number };
  conservation: { partitions: number; broken: BrokenPartition[] };
  /** Why records are in quarantine, those that were repaired or discarded left out. */
  quarantine: { reason: string; records: number }[];
  /** How many were repaired or discarded. */
  resolved: number;
  validation: Validation[];
  /** What the independent recomputation has said last of this generation. */
  verification: Verifications;
  retention: Retention;
  /** Per journey, over the days of daily_leakage_summary. */
  summary: BusinessRow[];
  warnings: string[];
}

export interface Retention {
  /** Local day: what is before it is taken in no more; null: nothing was ever removed. */
  horizon: string | null;
  /** The first local day of which silver still has everything. */
  wholeFrom: string | null;
  /** `endedAt` null: it was stopped, or is at work. */
  lastRun: { begunAt: string; endedAt: string | null } | null;
}

export type Counts = Record<string, number>;

export interface TopicStatus {
  topic: string;
  /** Null: Kafka does not answer. */
  partitions: number | null;
  /** Sum of the end offsets. */
  end: number | null;
  behind: { bronze: number | null; silver: number | null };
}

export interface Timings {
  /** Measured just now over this many seconds. */
  seconds: number;
  bronzePerSecond: number;
  silverPerSecond: number;
  goldChangesPerSecond: number;
  goldBehind: number;
  lastProgress: { bronze: string | null; silver: string | null; gold: string | null };
  /** The newest record in bronze: when its source sent it, and when Kafka received it. */
  newestEmittedAt: string | null;
  newestKafkaTimestamp: string | null;
}

/** What outsiders are told in <prefix>.changes. */
export interface ChangeStream {
  /** Changes of the change log that were not told yet, those of a retired generation included. */
  untold: number;
  /** When the oldest of the active generation's was written; null: there is none. */
  oldestAt: string | null;
}

export interface Outcomes {
  accepted: number;
  superseded: number;
  duplicates: number;
  conflicts: number;
  quarantined: number;
}

export interface BrokenPartition {
  pipeline: string;
  topic: string;
  partition: number;
  offsets: number;
  outcomes: number;
}

export interface Validation {
  name: string;
  ok: boolean;
  detail: string;
}

export interface BusinessRow {
  journey: string;
  summaryDate: string;
  days: number;
  dailyCalls: string | null;
  dailyCost: string | null;
  primarySegment: string | null;
  trendPct: string | null;
  repeatPct: number | null;
  sentiment: number | null;
  status: string;
}
