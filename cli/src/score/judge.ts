/** What the truth file says of a call. */
export interface TrueCall {
  readonly call_id: string;
  readonly leakage: boolean;
  readonly session_id: string | null;
  readonly journey_type: string | null;
  readonly kind: string;
}

/** One row of a table of attributed calls. */
export interface Charge {
  readonly callId: string;
  readonly sessionId: string | null;
  readonly leakageType: string | null;
}

export interface Mistakes {
  readonly count: number;
  /** Up to five call ids. */
  readonly examples: readonly string[];
}

type ByKind = Readonly<Record<string, Mistakes>>;

export interface Score {
  /** Calls in the truth, those withdrawn left out. */
  readonly calls: number;
  /** Calls that are leakage. */
  readonly leakage: number;
  readonly rowsCharged: number;
  readonly callsCharged: number;
  /** Rows beyond the first of a call. */
  readonly chargedAgain: number;
  /** Leakage calls that are charged to the session and the type they belong to. */
  readonly correct: number;
  /** correct / callsCharged; null without any. */
  readonly precision: number | null;
  /** correct / rowsCharged: what a sum over the rows is worth. */
  readonly precisionOfRows: number | null;
  /** correct / leakage. */
  readonly recall: number | null;
  /** rowsCharged / leakage. */
  readonly overCount: number | null;
  readonly mistakes: {
    /** Leakage, charged to another session or type; by kind of call. */
    readonly misattributed: ByKind;
    /** No leakage, and charged; `unknown` is not in the truth. */
    readonly wronglyCharged: ByKind;
    /** Leakage that is charged to nothing. */
    readonly missed: ByKind;
  };
}

const EXAMPLES = 5;
const WITHDRAWN = 'withdrawn';

interface Judged {
  /** Null: no leakage. */
  readonly session: string | null;
  readonly type: string | null;
  readonly kind: string;
  rows: number;
  correct: boolean;
}

/** Compares a table of attributed calls with the truth: first all of the truth, then the rows, one by one. */
export class Judge {
  readonly #calls = new Map<string, Judged>();
  readonly #unknown = new Map<string, number>();

  addTruth({ call_id, leakage, session_id, journey_type, kind }: TrueCall): void {
    const about = leakage ? { session: session_id, type: journey_type } : { session: null, type: null };
    this.#calls.set(call_id, { ...about, kind, rows: 0, correct: false });
  }

  addCharge({ callId, sessionId, leakageType }: Charge): void {
    const call = this.#calls.get(callId);
    if (call === undefined) {
      this.#unknown.set(callId, (this.#unknown.get(callId) ?? 0) + 1);
      return;
    }
    call.rows += 1;
    call.correct ||= call.type !== null && call.session === sessionId && call.type === leakageType;
  }

  score(): Score {
    const misattributed = new Tally();
    const wronglyCharged = new Tally();
    const missed = new Tally();
    let [calls, leakage, rowsCharged, callsCharged, correct] = [0, 0, 0, 0, 0];
    for (const [id, call] of this.#calls) {
      if (call.kind !== WITHDRAWN) calls += 1;
      if (call.type !== null) leakage += 1;
      if (call.rows > 0) callsCharged += 1;
      rowsCharged += call.rows;
      if (call.correct) correct += 1;
      else if (call.rows > 0) (call.type === null ? wronglyCharged : misattributed).add(call.kind, id);
      else if (call.type !== null) missed.add(call.kind, id);
    }
    for (const [id, rows] of this.#unknown) {
      callsCharged += 1;
      rowsCharged += rows;
      wronglyCharged.add('unknown', id);
    }
    return {
      calls,
      leakage,
      rowsCharged,
      callsCharged,
      chargedAgain: rowsCharged - callsCharged,
      correct,
      precision: ratio(correct, callsCharged),
      precisionOfRows: ratio(correct, rowsCharged),
      recall: ratio(correct, leakage),
      overCount: ratio(rowsCharged, leakage),
      mistakes: {
        misattributed: misattributed.byKind(),
        wronglyCharged: wronglyCharged.byKind(),
        missed: missed.byKind(),
      },
    };
  }
}

class Tally {
  readonly #kinds = new Map<string, { count: number; examples: string[] }>();

  add(kind: string, id: string): void {
    const known = this.#kinds.get(kind) ?? { count: 0, examples: [] };
    this.#kinds.set(kind, known);
    known.count += 1;
    if (known.examples.length < EXAMPLES) known.examples.push(id);
  }

  byKind(): ByKind {
    return Object.fromEntries([...this.#kinds].sort(([, a], [, b]) => b.count - a.count));
  }
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
