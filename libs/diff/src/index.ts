/**
 * What differs between two generations of silver and gold, in calls and cents, and why. Figures come from the cubes of gold,
 * causes from the facts of silver. Imports nothing of ours: it only knows their tables.
 *
 * Everything runs inside the caller's transaction: repeatable read (one snapshot), read only, on one connection.
 */
import { readDifferingCalls } from './calls.ts';
import { type ComparedRange, countDifferingCells, readCells } from './cells.ts';
import { comparedDays } from './days.ts';
import { foldFigures } from './figures.ts';
import { type ReadGeneration, readGeneration } from './generations.ts';
import { causeFigures, differingRules, examplesOf, headlineOf, notesOf } from './report.ts';
import { rulesThatDiffer } from './rules.ts';
import type { DiffOptions, DiffQuery, DiffReport } from './types.ts';

export { columnsRead } from './calls.ts';
export { differencesMax } from './figures.ts';
export {
  type CallView,
  type Cause,
  type CauseFigures,
  type ComparedDays,
  type ComparedGeneration,
  DiffError,
  type DiffOptions,
  type DiffQuery,
  type DiffRefusal,
  type DiffReport,
  type Example,
  type FigureDifference,
  type Figures,
  type FiguresOf,
  type Metric,
  metrics,
  type Part,
  type RuleDifference,
} from './types.ts';

// For its hash joins; what does not fit goes to disk.
const session = [`set local time zone 'UTC'`, `set local work_mem = '64MB'`, 'set local jit = off'];

/** Compares generations a and b. Throws DiffError where they cannot be compared. */
export async function diffGenerations(query: DiffQuery, o: DiffOptions): Promise<DiffReport> {
  for (const setting of session) await query(setting);
  const { schemas } = o;
  const a = await readGeneration(query, { id: o.a, other: o.b, schemas });
  const b = await readGeneration(query, { id: o.b, other: o.a, schemas });
  const days = comparedDays(a.reach, b.reach, o);
  const storedCents = await readCost(query);
  const costPerCallCents = o.costPerCallCents ?? storedCents;
  const range = days === null ? null : { a: o.a, b: o.b, schemas, ...days };
  o.onStep?.('adding up the cubes of both');
  const figures = foldFigures(range === null ? [] : await readCells(query, range), costPerCallCents);
  const differingCells = range === null ? 0 : await countDifferingCells(query, range);
  o.onStep?.('comparing call by call');
  const rules = differingRules(a.rules, b.rules);
  const groups = range === null ? [] : await readCalls(query, { range, a, b, examples: o.examples });
  const causes = causeFigures(groups, rules, costPerCallCents);
  const described = { a: a.described, b: b.described };
  const equal = figures.differingFigures === 0 && differingCells === 0 && groups.length === 0;
  return {
    equal,
    headline: headlineOf({ equal, ...described, days, totals: figures.totals }),
    ...described,
    rules: rulesThatDiffer(a.rules, b.rules),
    days,
    costPerCallCents,
    ...figures,
    differingCells,
    causes,
    examples: examplesOf(groups, { rules, ...described, max: o.examples }),
    notes: notesOf({ ...described, costPerCallCents, storedCents, totals: figures.totals, causes }),
  };
}

async function readCalls(
  query: DiffQuery,
  o: {
    readonly range: ComparedRange;
    readonly a: ReadGeneration;
    readonly b: ReadGeneration;
    readonly examples: number;
  },
) {
  const { a, b } = o;
  return await readDifferingCalls(query, {
    ...o.range,
    windowMs: { a: a.rules.windowMs, b: b.rules.windowMs },
    journeyTypes: { a: a.rules.reasons.journeyTypes, b: b.rules.reasons.journeyTypes },
    watermarks: { a: a.watermarks, b: b.watermarks },
    examples: o.examples,
  });
}

async function readCost(query: DiffQuery): Promise<number | null> {
  const { rows } = await query(
    `select round(100 * value)::float8 as cents from ops.parameter where name = 'cost_per_call'`,
  );
  return rows[0] === undefined ? null : Number(rows[0].cents);
}
