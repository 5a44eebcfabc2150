import type { Retained, RetentionPlan } from './run.ts';

const whole = new Intl.NumberFormat('en-US');
const count = (n: number, what: string) => `${whole.format(n)} ${what}${n === 1 ? '' : 's'}`;

function size(bytes: number): string {
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

const names: Readonly<Record<string, readonly [one: string, many: string]>> = {
  journey_event: ['journey event', 'journey events'],
  call: ['call', 'calls'],
  journey_outcome: ['journey outcome', 'journey outcomes'],
  conflict_record: ['conflict record', 'conflict records'],
  quarantine_record: ['quarantined record', 'quarantined records'],
  gold_cells: ['cell of gold', 'cells of gold'],
};

function rowsOf(table: string, rows: number): string {
  const [one, many] = names[table] ?? [table, table];
  return `${whole.format(rows)} ${rows === 1 ? one : many}`;
}

/** What a run would do. */
export function planLines({ generations, bronze }: RetentionPlan): string[] {
  const bytes = bronze.reduce((sum, one) => sum + one.bytes, 0);
  return [
    ...generations.flatMap(({ generation, horizonDay, moves, keptFrom, removable }) => [
      `Generation ${generation}: ${moves ? 'the horizon moves to' : 'the horizon stays at'} ${horizonDay}; what is before ${keptFrom} is removed from silver`,
      ...Object.entries(removable)
        .filter(([, { rows }]) => rows > 0)
        .map(([table, { rows, bytes: taken }]) => `  ${rowsOf(table, rows)}, about ${size(taken)}`),
    ]),
    bronze.length === 0
      ? 'Bronze: nothing'
      : `Bronze: ${count(bronze.length, 'daily partition')}, ${size(bytes)}, received up to ${bronze
          .map(({ day }) => day)
          .toSorted()
          .at(-1)}`,
  ];
}

export function isNothing({ generations, bronze }: RetentionPlan): boolean {
  const rows = generations.flatMap(({ removable }) => Object.values(removable)).some((one) => one.rows > 0);
  return !rows && bronze.length === 0 && generations.every(({ moves }) => !moves);
}

export function retainedLines({ generations, bronze }: Retained): string[] {
  return [
    ...generations.map(({ generation, horizon, removed }) => {
      const parts = Object.entries(removed)
        .filter(([, rows]) => rows > 0)
        .map(([table, rows]) => rowsOf(table, rows));
      return `Generation ${generation}: horizon ${horizon}, removed ${parts.length === 0 ? 'nothing' : parts.join(', ')}`;
    }),
    `Bronze: ${count(bronze.partitions.length, 'partition')} dropped, ${count(bronze.records, 'record')}, ${size(bronze.bytes)}`,
  ];
}
