import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Fact, type FactKind, UnusableFactError } from './cubes.ts';
import { type CubeDelta, fold, type SignedFact } from './fold.ts';

const call = (columns: Fact = {}): Fact => ({
  call_id: 'C-1',
  local_date: '2025-03-11',
  local_hour: 9,
  attribution: 'leakage',
  is_repeat_call: false,
  is_primary: true,
  assisted_completion: false,
  leakage_type: 'billing',
  member_category: 'MAPD New',
  language_preference: 'Spanish',
  device_type: 'mobile',
  error_code: 'E1',
  error_message: 'Not eligible',
  sentiment_e4: -6_500,
  handle_time_seconds: 600,
  time_to_call_ms: 780_000,
  ...columns,
});

const journey = (columns: Fact = {}): Fact => ({
  local_date: '2025-03-11',
  local_hour: 9,
  journey_type: 'billing',
  outcome: 'failed_error',
  member_category: 'MAPD New',
  language_preference: 'Spanish',
  device_type: 'mobile',
  error_code: 'E1',
  leaked: true,
  leakage_calls: 1,
  ...columns,
});

const member = (member_category: string, language_preference: string): Fact => ({
  member_id: 'M-1',
  member_category,
  language_preference,
});

/** Cells by cube and key, measures by name; what a database would hold after adding the deltas. */
function cellsOf(...folds: readonly CubeDelta[][]): Record<string, Record<string, number>> {
  const cells: Record<string, Record<string, number>> = {};
  for (const { cube, cells: deltas } of folds.flat()) {
    for (const delta of deltas) {
      const id = `${cube.table}: ${delta.key.join(' | ')}`;
      const cell = cells[id] ?? {};
      cells[id] = cell;
      for (const [i, name] of cube.measures.entries()) cell[name] = (cell[name] ?? 0) + (delta.amounts[i] ?? 0);
    }
  }
  const zero = (cell: Record<string, number>) => Object.values(cell).every((amount) => amount === 0);
  return Object.fromEntries(Object.entries(cells).filter(([, cell]) => !zero(cell)));
}

const plus = (kind: FactKind, fact: Fact): SignedFact => ({ kind, sign: 1, fact });
const minus = (kind: FactKind, fact: Fact): SignedFact => ({ kind, sign: -1, fact });

describe('folding changes into cells', () => {
  it('counts a new leakage call in its cell, and the text of its error code', () => {
    expect(cellsOf(fold([plus('call', call())]))).toEqual({
      'call_cube: 2025-03-11 | 9 | leakage | billing | MAPD New | Spanish | mobile | E1': {
        calls: 1,
        repeat_calls: 0,
        primary_calls: 1,
        assisted_calls: 0,
        sentiment_sum_e4: -6_500,
        sentiment_calls: 1,
        handle_time_sum: 600,
        handle_time_calls: 1,
        time_to_call_sum_ms: 780_000,
      },
      'error_message_cube: billing | E1 | Not eligible': { calls: 1 },
    });
  });

  it('counts an unscored call without a profile, a device or a code under empty dimensions', () => {
    const bare = call({
      attribution: 'none',
      leakage_type: null,
      is_primary: false,
      member_category: 'Unknown',
      language_preference: null,
      device_type: null,
      error_code: null,
      error_message: null,
      sentiment_e4: null,
      handle_time_seconds: null,
      time_to_call_ms: null,
    });
    const cells = cellsOf(fold([plus('call', bare)]));
    expect(Object.keys(cells)).toEqual(['call_cube: 2025-03-11 | 9 | none |  | Unknown |  |  | ']);
    expect(Object.values(cells)[0]).toMatchObject({ calls: 1, sentiment_calls: 0, handle_time_calls: 0 });
  });

  it('moves a corrected call from one cell to another', () => {
    const cells = cellsOf(fold([minus('call', call()), plus('call', call({ local_hour: 10, is_repeat_call: true }))]));
    expect(cells['call_cube: 2025-03-11 | 9 | leakage | billing | MAPD New | Spanish | mobile | E1']?.calls).toBe(-1);
    expect(cells['call_cube: 2025-03-11 | 10 | leakage | billing | MAPD New | Spanish | mobile | E1']).toMatchObject({
      calls: 1,
      repeat_calls: 1,
    });
    expect(Object.keys(cells)).toHaveLength(2);
  });

  it('writes nothing for a fact that comes and goes within one batch', () => {
    const deltas = fold([plus('call', call()), minus('call', call())]);
    expect(deltas.flatMap((d) => d.cells)).toEqual([]);
  });

  it('counts a completed journey as failed when a call was charged to it', () => {
    const measures = (columns: Fact) => Object.values(cellsOf(fold([plus('journey', journey(columns))])))[0];
    expect(measures({ outcome: 'completed' })).toEqual({
      journeys: 1,
      failed_journeys: 1,
      leaked_journeys: 1,
      leakage_calls: 1,
    });
    expect(measures({ outcome: 'completed', leaked: false, leakage_calls: 0 })).toMatchObject({ failed_journeys: 0 });
    expect(measures({ leaked: false, leakage_calls: 0 })).toMatchObject({ failed_journeys: 1, leaked_journeys: 0 });
  });

  it('keeps members apart whose joined dimensions would read the same', () => {
    const cells = cellsOf(fold([plus('member', member('a', 'b c')), plus('member', member('a b', 'c'))]));
    expect(Object.values(cells)).toEqual([{ members: 1 }, { members: 1 }]);
  });

  it('cuts codes and texts to 200 characters, never through one', () => {
    const long = '😀'.repeat(300);
    const cut = '😀'.repeat(200);
    const cells = cellsOf(fold([plus('call', call({ error_code: long, error_message: long }))]));
    expect(Object.keys(cells)).toEqual([
      `call_cube: 2025-03-11 | 9 | leakage | billing | MAPD New | Spanish | mobile | ${cut}`,
      `error_message_cube: billing | ${cut} | ${cut}`,
    ]);
  });

  it('gives the cells in key order', () => {
    const hours = [10, 9, 23, 0].map((local_hour) => plus('call', call({ local_hour })));
    expect(fold(hours)[0]?.cells.map((cell) => cell.key[1])).toEqual([0, 9, 10, 23]);
  });

  it.each([
    ['a missing date', { local_date: undefined }],
    ['an hour that is no integer', { local_hour: 9.5 }],
    ['a flag that is no boolean', { is_primary: 1 }],
    ['a category of null', { member_category: null }],
  ])('refuses a fact with %s', (_, columns) => {
    expect(() => fold([plus('call', call(columns))])).toThrow(UnusableFactError);
  });
});

const aCall = fc
  .record({
    local_date: fc.constantFrom('2025-03-10', '2025-03-11'),
    local_hour: fc.constantFrom(0, 23),
    leaks: fc.boolean(),
    leakage_type: fc.constantFrom('billing', 'pharmacy'),
    other: fc.constantFrom('possible', 'unaligned', 'cured', 'none'),
    is_repeat_call: fc.boolean(),
    language_preference: fc.constantFrom(null, 'English', 'Spanish'),
    error_code: fc.constantFrom(null, 'E1', 'E2'),
    error_message: fc.constantFrom(null, '', 'text'),
    sentiment_e4: fc.option(fc.integer({ min: -10_000, max: 10_000 })),
    handle_time_seconds: fc.option(fc.integer({ min: 0, max: 14_400 })),
  })
  .map(({ leaks, other, ...columns }) =>
    leaks
      ? call({ ...columns, attribution: 'leakage' })
      : call({
          ...columns,
          attribution: other,
          leakage_type: null,
          is_primary: false,
          device_type: null,
          error_code: null,
          error_message: null,
          time_to_call_ms: null,
        }),
  );
const aJourney = fc
  .record({
    outcome: fc.constantFrom('completed', 'failed_error', 'failed_abandon'),
    device_type: fc.constantFrom(null, 'mobile'),
    leakage_calls: fc.integer({ min: 0, max: 3 }),
  })
  .map((columns) => journey({ ...columns, leaked: columns.leakage_calls > 0 }));
const aMember = fc
  .tuple(fc.constantFrom('MAPD New', 'Commercial'), fc.constantFrom('English', 'Spanish'))
  .map(([category, language]) => member(category, language));
const aFact = fc.oneof(
  fc.record({ kind: fc.constant('call' as const), fact: aCall }),
  fc.record({ kind: fc.constant('journey' as const), fact: aJourney }),
  fc.record({ kind: fc.constant('member' as const), fact: aMember }),
);
/** Identity by kind and number; a fact that is set again replaces, null withdraws. */
const aHistory = fc.array(fc.record({ id: fc.integer({ min: 0, max: 5 }), set: aFact, withdraw: fc.boolean() }), {
  maxLength: 80,
});

/** The change log that a history of facts leaves behind, and the facts at its end. */
function logOf(history: readonly { id: number; set: { kind: FactKind; fact: Fact }; withdraw: boolean }[]) {
  const facts = new Map<string, { kind: FactKind; fact: Fact }>();
  const log: SignedFact[] = [];
  for (const { id, set, withdraw } of history) {
    const identity = `${set.kind} ${id}`;
    const before = facts.get(identity)?.fact ?? null;
    if (withdraw && before === null) continue;
    if (before !== null) log.push(minus(set.kind, before));
    if (!withdraw) log.push(plus(set.kind, set.fact));
    if (withdraw) facts.delete(identity);
    else facts.set(identity, set);
  }
  return { log, facts: [...facts.values()] };
}

describe('law 7: gold is a fold of silver', () => {
  it('any history, cut into any batches, counts exactly the facts that are left', () => {
    fc.assert(
      fc.property(aHistory, fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1 }), (history, cuts) => {
        const { log, facts } = logOf(history);
        const batches: SignedFact[][] = [];
        for (let from = 0, i = 0; from < log.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          batches.push(log.slice(from, from + size));
          from += size;
        }
        expect(cellsOf(...batches.map((facts) => fold(facts)))).toEqual(countedOneByOne(facts));
      }),
      { numRuns: 300 },
    );
  });

  it('days that another generation has counted are left out, and members, who have none, are not', () => {
    fc.assert(
      fc.property(aHistory, (history) => {
        const { log, facts } = logOf(history);
        const days = [
          ...new Set(facts.flatMap(({ fact }) => (fact.local_date === undefined ? [] : [fact.local_date]))),
        ].sort();
        for (const closedBefore of [...days.map(String), '1999-01-01', '2999-01-01']) {
          const left = facts.filter(({ kind, fact }) => kind === 'member' || String(fact.local_date) >= closedBefore);
          expect(cellsOf(fold(log, closedBefore))).toEqual(countedOneByOne(left));
        }
      }),
    );
  });

  it('the order of the changes does not matter', () => {
    fc.assert(
      fc.property(aHistory, fc.infiniteStream(fc.nat()), (history, random) => {
        const { log } = logOf(history);
        const keys = log.map(() => Number(random.next().value));
        const shuffled = log.map((fact, i) => ({ fact, at: keys[i] ?? 0 })).sort((a, b) => a.at - b.at);
        expect(cellsOf(fold(shuffled.map((s) => s.fact)))).toEqual(cellsOf(fold(log)));
      }),
    );
  });
});

/** The same figures said once more, without cubes and without subtraction. */
function countedOneByOne(facts: readonly { kind: FactKind; fact: Fact }[]) {
  const cells: Record<string, Record<string, number>> = {};
  const count = (id: string, amounts: Record<string, number>) => {
    const cell = cells[id] ?? {};
    cells[id] = cell;
    for (const [name, amount] of Object.entries(amounts)) cell[name] = (cell[name] ?? 0) + amount;
  };
  const one = (condition: boolean) => (condition ? 1 : 0);
  // Joining gives '' for null.
  const path = (cube: string, ...parts: readonly unknown[]) => `${cube}: ${parts.join(' | ')}`;
  const who = (f: Fact) => [f.member_category, f.language_preference, f.device_type, f.error_code];
  for (const { kind, fact: f } of facts) {
    if (kind === 'member') count(path('member_cube', f.member_category, f.language_preference), { members: 1 });
    if (kind === 'journey') {
      count(path('journey_cube', f.local_date, f.local_hour, f.journey_type, f.outcome, ...who(f)), {
        journeys: 1,
        failed_journeys: one(f.outcome !== 'completed' || Number(f.leakage_calls) > 0),
        leaked_journeys: one(Number(f.leakage_calls) > 0),
        leakage_calls: Number(f.leakage_calls),
      });
    }
    if (kind !== 'call') continue;
    count(path('call_cube', f.local_date, f.local_hour, f.attribution, f.leakage_type, ...who(f)), {
      calls: 1,
      repeat_calls: one(f.is_repeat_call === true),
      primary_calls: one(f.is_primary === true),
      assisted_calls: one(f.assisted_completion === true),
      sentiment_sum_e4: Number(f.sentiment_e4 ?? 0),
      sentiment_calls: one(f.sentiment_e4 !== null),
      handle_time_sum: Number(f.handle_time_seconds ?? 0),
      handle_time_calls: one(f.handle_time_seconds !== null),
      time_to_call_sum_ms: Number(f.time_to_call_ms ?? 0),
    });
    if (f.attribution === 'leakage' && f.error_code && f.error_message)
      count(path('error_message_cube', f.leakage_type, f.error_code, f.error_message), { calls: 1 });
  }
  return cells;
}
