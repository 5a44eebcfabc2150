import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dataDirectory } from '@leakage/runtime';

export type Cell = string | number | null;

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** What a benchmark has found. Speeds are events a second, costs CPU seconds per million events, sizes megabytes. */
export interface Result {
  readonly name: string;
  readonly tables: readonly Table[];
  /** Whether what was to be shown was shown, in a sentence each. */
  readonly verdicts: readonly { readonly met: boolean; readonly sentence: string }[];
}

const resultsFile = fileURLToPath(new URL('../RESULTS.md', import.meta.url));
const gibibyte = 1024 ** 3;

export function markdown({ tables, verdicts }: Result): string {
  const parts = tables.map(
    ({ title, columns, rows }) => `${title}\n\n${grid([columns, columns.map(() => '---'), ...rows])}`,
  );
  parts.push(verdicts.map(({ met, sentence }) => `* ${met ? 'met' : 'NOT met'}: ${sentence}`).join('\n'));
  return parts.filter((part) => part !== '').join('\n\n');
}

function grid(rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(textOf));
  const widths = (texts[0] ?? []).map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  return texts
    .map(
      (row, nr) =>
        `| ${row.map((text, i) => (nr === 1 ? '-'.repeat(widths[i] ?? 3) : text.padEnd(widths[i] ?? 0))).join(' | ')} |`,
    )
    .join('\n');
}

function textOf(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'string') return cell;
  const digits = Math.abs(cell) >= 100 ? 0 : Math.abs(cell) >= 10 ? 1 : 2;
  return cell.toLocaleString('en-US', { maximumFractionDigits: digits });
}

/** Date, commit and machine: a speed without them says nothing. */
export function provenance(): { date: string; commit: string; machine: string } {
  const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
  const [cpu] = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${git('rev-parse', '--short', 'HEAD')}${changed}`,
    machine: `${cpus().length} x ${cpu?.model.trim() || process.arch}, ${Math.round(totalmem() / gibibyte)} GiB, Node ${process.versions.node}`,
  };
}

/** Keeps the result as JSON; returns where. */
export function keep(result: Result): string {
  const file = join(dataDirectory(), 'benchmarks', `${result.name}.json`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ ...provenance(), ...result }, null, 2)}\n`);
  return file;
}

/** Puts the result in its place in RESULTS.md, instead of the one that stands there. */
export function publish(result: Result): void {
  const { date, commit, machine } = provenance();
  const [begin, end] = [`<!-- ${result.name}: begin -->`, `<!-- ${result.name}: end -->`];
  const text = readFileSync(resultsFile, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${resultsFile} has no place for ${result.name}`);
  const section = `${begin}\n${date}, commit ${commit}, ${machine}.\n\n${markdown(result)}\n`;
  writeFileSync(resultsFile, text.slice(0, from) + section + text.slice(to));
}
