/** Runs one statement on the connection of the caller, whose transaction (one snapshot) all of a diff is read in. */
export type DiffQuery = (sql: string, params?: readonly unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

export interface DiffOptions {
  /** The generation that is compared with, and the one that is asked about: differences are b minus a. */
  readonly a: number;
  readonly b: number;
  /** The stable names; those of a generation are silver_<n> and gold_<n>. */
  readonly schemas: { readonly silver: string; readonly gold: string };
  /** Local days, YYYY-MM-DD; default: all that both have. */
  readonly from?: string;
  readonly to?: string;
  /** What a call is to cost, in integer cents; default: the cost_per_call of ops.parameter. */
  readonly costPerCallCents?: number | undefined;
  /** Calls shown of each group of differing calls; 0: none. */
  readonly examples: number;
  /** Called with what is done next. */
  readonly onStep?: (sentence: string) => void;
}

/** Why there is no report: nothing is wrong with the program, but these two cannot be compared. */
export type DiffRefusal = 'unknown' | 'dropped' | 'no_tables' | 'no_common_day' | 'too_many_figures';

export class DiffError extends Error {
  readonly refusal: DiffRefusal;

  constructor(refusal: DiffRefusal, sentence: string) {
    super(sentence);
    this.name = 'DiffError';
    this.refusal = refusal;
  }
}

export type Side = 'a' | 'b';

/** The rules of a generation as stored in ops.generation.rules. */
export interface StoredRules {
  readonly windowMs: number;
  readonly timeZone: string;
  readonly repeatScope: string;
  readonly rulesVersion: number;
  readonly reasons: {
    readonly journeyTypes: readonly string[];
    /** Call reason -> journey type, or 'any'. */
    readonly reasons: Readonly<Record<string, string>>;
    /** Token of an IVR path -> journey type, or 'any'. */
    readonly tokens: Readonly<Record<string, string>>;
  };
}

/** A generation as it was when the snapshot was taken. Instants are ISO 8601. */
export interface ComparedGeneration {
  readonly id: number;
  readonly state: string;
  readonly purpose: string;
  readonly note: string | null;
  readonly rules: {
    readonly windowMinutes: number;
    readonly timeZone: string;
    readonly repeatScope: string;
    readonly rulesVersion: number;
    readonly journeyTypes: readonly string[];
  };
  /** The smaller of the two watermarks; null before both sources were heard. */
  readonly asOf: string | null;
  readonly watermarks: { readonly digital: string | null; readonly calls: string | null };
  /** Records below its positions. */
  readonly records: number;
  /** Records that the other one has read and this one has not. */
  readonly recordsBehind: number;
  /** Changes of silver that gold has not folded: its figures are older than its calls by these. */
  readonly unfoldedChanges: number;
  /** Where it was made of a part only: of records that Kafka received in this time. */
  readonly partOf: { readonly from: string | null; readonly to: string | null } | null;
}

/** A rule that the two do not share; of a reason table, one word of it. */
export interface RuleDifference {
  readonly rule: string;
  readonly a: string;
  readonly b: string;
}

/** The local days that were compared, each in its generation's own time zone. */
export interface ComparedDays {
  readonly from: string;
  readonly to: string;
  /** Why not more of them, where there are more. */
  readonly because: readonly string[];
}

export const metrics = [
  'leakageCalls',
  'repeatLeakageCalls',
  'allRepeatCalls',
  'allCalls',
  'leakedJourneys',
  'failedJourneys',
  'decidedJourneys',
] as const;
export type Metric = (typeof metrics)[number];

export interface Figures {
  readonly a: number;
  readonly b: number;
  /** b minus a. */
  readonly difference: number;
  /** What the difference costs, in integer cents; null for journeys, and where no cost per call is set. */
  readonly cents: number | null;
}
export type FiguresOf = Readonly<Record<Metric, Figures>>;

/** The figures of one journey type (null: calls that are no leakage), one segment or one day. */
export interface Part {
  readonly of: string | null;
  readonly figures: FiguresOf;
}

/** One figure that differs. */
export interface FigureDifference extends Figures {
  readonly metric: Metric;
  readonly day: string;
  readonly journey: string | null;
  readonly segment: string;
}

/** Why a call is not the same in both; causes.ts says when which one holds. */
export type Cause =
  | 'window'
  | 'reason'
  | 'repeat_scope'
  | 'time_zone'
  | 'profile'
  | 'late_data'
  | 'not_read_yet'
  | 'left_out'
  | 'attribution'
  | 'neighbour'
  | 'rules_version'
  | 'other';

export interface CauseFigures {
  readonly cause: Cause;
  readonly meaning: string;
  /** Calls that differ for this cause in whatever it be. */
  readonly calls: number;
  /** Charged (within the days compared) in one only. */
  readonly onlyA: number;
  readonly onlyB: number;
  /** Leakage calls, b minus a: onlyB - onlyA. */
  readonly difference: number;
  readonly cents: number | null;
  /** Repeat calls, leakage or not, b minus a. */
  readonly repeatDifference: number;
}

/** A call as one generation sees it. */
export interface CallView {
  readonly attribution: string;
  readonly issueFamily: string | null;
  readonly leakageType: string | null;
  /** The failure that the call is charged to, and how long before the call it was. */
  readonly failedAt: string | null;
  readonly minutesToCall: number | null;
  readonly errorCode: string | null;
  readonly isRepeatCall: boolean;
  readonly memberCategory: string;
  readonly localDate: string;
}

/** A call behind a difference. No member is named. */
export interface Example {
  readonly callId: string;
  readonly calledAt: string;
  readonly callReason: string | null;
  readonly cause: Cause;
  readonly why: string;
  /** null: the generation does not have the call. */
  readonly a: CallView | null;
  readonly b: CallView | null;
}

export interface DiffReport {
  /** No figure differs, no cell of gold and no call. */
  readonly equal: boolean;
  readonly headline: string;
  readonly a: ComparedGeneration;
  readonly b: ComparedGeneration;
  readonly rules: readonly RuleDifference[];
  /** null: neither has a figure. */
  readonly days: ComparedDays | null;
  readonly costPerCallCents: number | null;
  readonly totals: FiguresOf;
  readonly journeys: readonly Part[];
  readonly segments: readonly Part[];
  readonly byDay: readonly Part[];
  /** The greatest first, at most `differencesMax` of `differingFigures`. */
  readonly differences: readonly FigureDifference[];
  readonly differingFigures: number;
  /** Cells of gold that differ, in dimensions too that no figure above shows: hour, device, language, error code. */
  readonly differingCells: number;
  readonly causes: readonly CauseFigures[];
  readonly examples: readonly Example[];
  /** What a reader must know to trust the rest. */
  readonly notes: readonly string[];
}
