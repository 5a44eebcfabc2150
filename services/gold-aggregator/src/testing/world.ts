import { callFact, type FactChange, journeyFact, memberFact, type Row } from './silver-writer.ts';

/** A small world that keeps changing: seeded, so that a failure comes again. */
export class World {
  readonly #facts = new Map<string, FactChange>();
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  #below(n: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * n);
  }

  #one<T>(values: readonly [T, ...T[]]): T {
    return values[this.#below(values.length)] ?? values[0];
  }

  /** What one transaction of silver changes. */
  batch(size: number): FactChange[] {
    const changed = new Map<string, FactChange>();
    while (changed.size < size) {
      const n = this.#below(400);
      const kind = this.#one(['call', 'call', 'journey', 'member'] as const);
      const identity = `${kind} ${n}`;
      if (changed.has(identity)) continue;
      const before = this.#facts.get(identity)?.after ?? null;
      const withdrawn = before !== null && kind !== 'member' && this.#below(5) === 0;
      const after = withdrawn ? null : this.#fact(kind, n, before);
      const change = { kind, shard: n % 12, before, after };
      changed.set(identity, change);
      this.#facts.set(identity, change);
    }
    return [...changed.values()];
  }

  #fact(kind: FactChange['kind'], n: number, before: Row | null): Row {
    const member_category = this.#one(['MAPD New', 'MAPD Tenured', 'Commercial'] as const);
    const language_preference = this.#one(['English', 'Spanish'] as const);
    const common = {
      member_id: `M-${n}`,
      member_category,
      language_preference: this.#one([null, language_preference]),
      error_code: this.#one([null, 'E1', 'E2'] as const),
      local_date: this.#one(['2025-03-10', '2025-03-11'] as const),
      local_hour: this.#one([0, 12, 23] as const),
    };
    if (kind === 'member') {
      const version = before === null ? 1 : Number(String(before.valid_from).slice(0, 4)) - 1999;
      return memberFact({
        member_id: `M-${n}`,
        member_category,
        language_preference,
        valid_from: `${2000 + version}-01-01T00:00:00Z`,
      });
    }
    if (kind === 'journey') {
      const leakage_calls = this.#below(3);
      const outcome = this.#one(['completed', 'failed_error', 'failed_abandon'] as const);
      return journeyFact({ ...common, session_id: `S-${n}`, outcome, leakage_calls, leaked: leakage_calls > 0 });
    }
    const sentiment_e4 = this.#one([null, this.#below(20_001) - 10_000]);
    const is_repeat_call = this.#below(2) === 0;
    if (this.#below(3) === 0)
      return callFact({
        ...common,
        call_id: `C-${n}`,
        attribution: 'cured',
        error_code: null,
        sentiment_e4,
        is_repeat_call,
      });
    return callFact({
      ...common,
      call_id: `C-${n}`,
      error_message: this.#one([null, 'text']),
      sentiment_e4,
      is_repeat_call,
    });
  }
}
