/** Runs one statement on the oracle's connection. The oracle needs one connection and one transaction throughout. */
export type OracleQuery = (sql: string, params?: unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

/** The rules of a generation as stored in ops.generation.rules. */
export interface OracleRules {
  windowMs: number;
  timeZone: string;
  repeatScope: 'same_issue' | 'any_reason';
  reasons: {
    journeyTypes: readonly string[];
    /** call reason -> journey type, or 'any' */
    reasons: Readonly<Record<string, string>>;
    /** token of an IVR path -> journey type, or 'any' */
    tokens: Readonly<Record<string, string>>;
  };
}

/** Local days as YYYY-MM-DD, both included, in the generation's time zone; null: from the beginning, to the end. */
export interface DayRange {
  from: string | null;
  to: string | null;
}

export interface OracleOptions {
  generation: number;
  /** The generation's own schemas, not the stable views: bronze, silver_1, gold_1. */
  schemas: { bronze: string; silver: string /** null: gold is not checked */; gold: string | null };
  /** Pipeline names in ops.position. */
  pipelines: { bronze: string; silver: string };
  /** How many differing rows a check shows. */
  examples?: number;
  /** Only these days are compared, and only the records read that they need; default: everything. */
  days?: DayRange;
  /** Runs beside others: with an eighth of the memory, and on one processor. */
  gentle?: boolean;
}

export interface Difference {
  /** What identifies the row. */
  key: Record<string, unknown>;
  /** The oracle's row; null where it has none. */
  expected: Record<string, unknown> | null;
  /** The stored row; null where there is none. */
  actual: Record<string, unknown> | null;
  /** The columns in which both rows differ; empty where one of them is missing. */
  columns: string[];
}

export interface Check {
  name: string;
  compared: number;
  differences: number;
  examples: Difference[];
  elapsedMs: number;
}

/** So many of so many break a data quality rule, which makes nothing unequal. */
export interface Warning {
  rule: string;
  name: string;
  count: number;
  of: number;
}

/** A check, or columns of it, that a run over some days leaves out. */
export interface NotChecked {
  name: string;
  /** How many rows of it; null: all. */
  rows: number | null;
  reason: string;
}

export interface OracleReport {
  ok: boolean;
  checks: Check[];
  /** After a retention run: the first local day that is compared; null: from the beginning. */
  horizon: string | null;
  /** Empty where everything was compared. */
  notChecked: NotChecked[];
  /** Facts that are no failure but that a person should know (data quality rules of severity warn). */
  warnings: Warning[];
  /** Records that it was recomputed from. */
  records: number;
  /** How long it took to recompute, without the comparisons. */
  recomputeMs: number;
  elapsedMs: number;
}
