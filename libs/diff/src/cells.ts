import type { Cell } from './figures.ts';
import { identifier, rowOf, wholeNumber } from './sql.ts';
import { DiffError, type DiffQuery, type Metric, metrics } from './types.ts';

export interface ComparedRange {
  readonly a: number;
  readonly b: number;
  readonly schemas: { readonly silver: string; readonly gold: string };
  readonly from: string;
  readonly to: string;
}

/** Days x journey types x segments that are held in memory at most (law 10): ten years of more than fifty a day. */
const cellsMax = 200_000;

/** What each metric is the sum of; a cube without it has none of it. */
const measures: Readonly<Record<Metric, { readonly calls: string; readonly journeys: string }>> = {
  leakageCalls: { calls: `case when attribution = 'leakage' then calls else 0 end`, journeys: '0' },
  repeatLeakageCalls: { calls: `case when attribution = 'leakage' then repeat_calls else 0 end`, journeys: '0' },
  allRepeatCalls: { calls: 'repeat_calls', journeys: '0' },
  allCalls: { calls: 'calls', journeys: '0' },
  leakedJourneys: { calls: '0', journeys: 'leaked_journeys' },
  failedJourneys: { calls: '0', journeys: 'failed_journeys' },
  decidedJourneys: { calls: '0', journeys: 'journeys' },
};

/** The figures of both for each local day, journey type and segment of the range, from their cubes. */
export async function readCells(query: DiffQuery, range: ComparedRange): Promise<Cell[]> {
  const part = (side: 'a' | 'b', cube: 'calls' | 'journeys') => {
    const [table, journey] = cube === 'calls' ? ['call_cube', 'leakage_type'] : ['journey_cube', 'journey_type'];
    const values = metrics.map((metric) => `${measures[metric][cube]} as "${metric}"`).join(', ');
    return `select '${side}' as side, local_date, ${journey} as journey, member_category as segment, ${values}
              from ${schemaOf(range, side)}.${table} where local_date between $1 and $2`;
  };
  const sums = (side: 'a' | 'b') =>
    `array[${metrics.map((metric) => `coalesce(sum("${metric}") filter (where side = '${side}'), 0)::float8`).join(', ')}]`;
  const { rows } = await query(
    `select local_date::text as day, journey, segment, ${sums('a')} as a, ${sums('b')} as b
       from (${[part('a', 'calls'), part('a', 'journeys'), part('b', 'calls'), part('b', 'journeys')].join('\nunion all\n')}) c
      group by local_date, journey, segment
      order by local_date, journey, segment
      limit ${wholeNumber(cellsMax + 1)}`,
    [range.from, range.to],
  );
  if (rows.length > cellsMax) {
    throw new DiffError(
      'too_many_figures',
      `From ${range.from} to ${range.to} there are more than ${cellsMax} figures to compare: ask for fewer days.`,
    );
  }
  return rows as unknown as Cell[];
}

const cubes = {
  call_cube: {
    key: [
      'local_date',
      'local_hour',
      'attribution',
      'leakage_type',
      'member_category',
      'language_preference',
      'device_type',
      'error_code',
    ],
    measures: [
      'calls',
      'repeat_calls',
      'primary_calls',
      'assisted_calls',
      'sentiment_sum_e4',
      'sentiment_calls',
      'handle_time_sum',
      'handle_time_calls',
      'time_to_call_sum_ms',
    ],
  },
  journey_cube: {
    key: [
      'local_date',
      'local_hour',
      'journey_type',
      'outcome',
      'member_category',
      'language_preference',
      'device_type',
      'error_code',
    ],
    measures: ['journeys', 'failed_journeys', 'leaked_journeys', 'leakage_calls'],
  },
} as const;

/** How many cells of the cubes are not the same in both, in whatever dimension or measure. */
export async function countDifferingCells(query: DiffQuery, range: ComparedRange): Promise<number> {
  const counts = Object.entries(cubes).map(([table, cube]) => {
    const rowsOf = (side: 'a' | 'b') =>
      `(select * from ${schemaOf(range, side)}.${table} where local_date between $1 and $2) ${side}`;
    return `(select count(*) from ${rowsOf('a')} full join ${rowsOf('b')} using (${cube.key.join(', ')})
              where ${rowOf('a.', cube.measures)} is distinct from ${rowOf('b.', cube.measures)})`;
  });
  const { rows } = await query(`select (${counts.join(' + ')})::float8 as cells`, [range.from, range.to]);
  return Number(rows[0]?.cells ?? 0);
}

function schemaOf(range: ComparedRange, side: 'a' | 'b'): string {
  return identifier(`${range.schemas.gold}_${range[side]}`);
}
