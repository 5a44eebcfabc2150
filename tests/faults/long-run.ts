// npm run test:faults: the long form of the fault tests. When everything was green, its counts go into docs/reliability.md.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FaultEntry } from './support/report.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const page = join(project, 'docs', 'reliability.md');
const [begin, end] = ['<!-- long run: begin -->', '<!-- long run: end -->'];

const seed = process.env.FAULT_SEED ?? String(Math.floor(Math.random() * 1_000_000));
const folder = mkdtempSync(join(tmpdir(), 'leakage-faults-'));
const reportFile = join(folder, 'report.jsonl');
writeFileSync(reportFile, '');
const began = Date.now();
/** What is run, whatever is committed meanwhile. */
const commit = text('git', ['rev-parse', '--short', 'HEAD']);
const dirty = text('git', ['status', '--porcelain', '--untracked-files=no']) === '' ? '' : ' and uncommitted changes';
console.log(`Seed ${seed}; FAULT_SEED=${seed} npm run test:faults does the same again.`);
const vitest = join(project, 'node_modules', '.bin', 'vitest');
const run = spawnSync(vitest, ['run', '--project', 'faults', ...process.argv.slice(2)], {
  cwd: project,
  stdio: 'inherit',
  env: { ...process.env, FAULTS: 'long', FAULT_SEED: seed, FAULTS_REPORT: reportFile },
});
const entries = readFileSync(reportFile, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as FaultEntry);
rmSync(folder, { recursive: true });
const green = run.status === 0;
const lines = summary(entries);
console.log(lines.join('\n'));
if (!green) {
  console.error(`The long run is red; docs/reliability.md stays as it was. FAULT_SEED=${seed} does the same again.`);
  process.exit(1);
}
// Parts of the run (a file given as an argument) are for looking at, not for publishing.
if (process.argv.length === 2) publish(lines);

function summary(all: readonly FaultEntry[]): string[] {
  const minutes = Math.round((Date.now() - began) / 60_000);
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`;
  const sums = new Map<string, number>();
  for (const { kind, fault, times } of all)
    sums.set(`${kind} | ${fault}`, (sums.get(`${kind} | ${fault}`) ?? 0) + times);
  const rows = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([what, times]) => `| ${what} | ${times} |`);
  return [
    `Run of ${new Date().toISOString().slice(0, 10)}, commit \`${commit}\`${dirty}, ${machine}, ${minutes} minutes, seed ${seed}.`,
    ...(green ? ['Nothing was lost, nothing doubled, every check was green.'] : ['Not everything was green.']),
    '',
    '| test file | what was done | times |',
    '|---|---|---|',
    ...rows,
  ];
}

function text(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { cwd: project, encoding: 'utf8' }).stdout.trim();
}

function publish(block: readonly string[]): void {
  const before = readFileSync(page, 'utf8');
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${page} has no place for the counts between ${begin} and ${end}`);
  writeFileSync(page, `${before.slice(0, from)}${begin}\n${block.join('\n')}\n${before.slice(to)}`);
}
