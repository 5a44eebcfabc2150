import {
  type FigureDifference,
  type Figures,
  type FiguresOf,
  type Metric,
  metrics,
  type Part,
  type Side,
} from './types.ts';

/** The figures of one day, journey type ('': calls that are no leakage) and segment, in the order of `metrics`. */
export interface Cell {
  readonly day: string;
  readonly journey: string;
  readonly segment: string;
  readonly a: readonly number[];
  readonly b: readonly number[];
}

export interface FoldedFigures {
  readonly totals: FiguresOf;
  readonly journeys: readonly Part[];
  readonly segments: readonly Part[];
  readonly byDay: readonly Part[];
  readonly differences: readonly FigureDifference[];
  readonly differingFigures: number;
}

/** Figures that differ are shown up to this many; the rest is counted. */
export const differencesMax = 2_000;

const ofCalls: ReadonlySet<Metric> = new Set(['leakageCalls', 'repeatLeakageCalls', 'allRepeatCalls', 'allCalls']);

/** Adds cells up to totals and their parts: every total is the sum of the parts of each list, by construction. */
export function foldFigures(cells: readonly Cell[], costPerCallCents: number | null): FoldedFigures {
  const priced = (metric: Metric, a: number, b: number): Figures => ({
    a,
    b,
    difference: b - a,
    cents: costPerCallCents === null || !ofCalls.has(metric) ? null : (b - a) * costPerCallCents,
  });
  const figuresOf = (some: readonly Cell[]): FiguresOf => {
    const sum = (side: Side, nr: number) => some.reduce((total, cell) => total + (cell[side][nr] ?? 0), 0);
    const entries = metrics.map((metric, nr) => [metric, priced(metric, sum('a', nr), sum('b', nr))]);
    return Object.fromEntries(entries) as FiguresOf;
  };
  const partsBy = (nameOf: (cell: Cell) => string): Part[] =>
    [...Map.groupBy(cells, nameOf)]
      .sort(([x], [y]) => (x < y ? -1 : 1))
      .map(([name, some]) => ({ of: name === '' ? null : name, figures: figuresOf(some) }));
  const differences = cells.flatMap((cell) =>
    metrics.flatMap((metric, nr): FigureDifference[] => {
      const figures = priced(metric, cell.a[nr] ?? 0, cell.b[nr] ?? 0);
      if (figures.difference === 0) return [];
      return [{ metric, day: cell.day, journey: cell.journey || null, segment: cell.segment, ...figures }];
    }),
  );
  return {
    totals: figuresOf(cells),
    journeys: partsBy(({ journey }) => journey),
    segments: partsBy(({ segment }) => segment),
    byDay: partsBy(({ day }) => day),
    differences: differences.sort(greatestFirst).slice(0, differencesMax),
    differingFigures: differences.length,
  };
}

function greatestFirst(x: FigureDifference, y: FigureDifference): number {
  const size = Math.abs(y.difference) - Math.abs(x.difference);
  if (size !== 0) return size;
  if (x.metric !== y.metric) return metrics.indexOf(x.metric) - metrics.indexOf(y.metric);
  return placeOf(x) < placeOf(y) ? -1 : 1;
}

const placeOf = ({ day, journey, segment }: FigureDifference) => [day, journey ?? '', segment].join('\n');
