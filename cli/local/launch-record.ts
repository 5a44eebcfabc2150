import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, Problem } from './problem.ts';
import { isAlive, type ProcessIdentity } from './process-identity.ts';

/** A signal and how long to wait for it to work before the next, stronger one. */
export type StopStep = readonly [signal: NodeJS.Signals, waitMs: number];

/** How a process is stopped, by whoever has to: by us, by the keeper after our death, or by the next start. */
export interface StopPlan {
  /** As in messages: `Kafka`, `Postgres`. */
  readonly title: string;
  /** Lower ones are stopped first: services (0), then Postgres (1), then Kafka (2). */
  readonly order: number;
  readonly steps: readonly StopStep[];
  /** It notices by itself that we are gone, and ends in order: it is given the time for that. */
  readonly endsWithParent: boolean;
}

/** What is written down about a launched process: enough to stop it, and only it, without us. */
export interface LaunchRecord extends ProcessIdentity, StopPlan {}

const suffix = '.process.json';
const ownEndMs = 16_000;

export function recordFile(runFolder: string, name: string): string {
  return join(runFolder, `${name}${suffix}`);
}

/** Stops what an earlier start has left running. True when there was anything. */
export async function stopLeftovers(runFolder: string): Promise<boolean> {
  const files = readdirSync(runFolder).filter((file) => file.endsWith(suffix));
  const records = files.flatMap((file) => parseRecord(readFileSync(join(runFolder, file), 'utf8')) ?? []);
  const found = await stopRecorded(records);
  for (const file of files) rmSync(join(runFolder, file), { force: true });
  return found;
}

/** Stops those that still run, a whole order at a time. True when there were any. */
export async function stopRecorded(records: readonly LaunchRecord[]): Promise<boolean> {
  const alive = records.filter(isAlive);
  for (const order of new Set(alive.map((record) => record.order).toSorted((a, b) => a - b))) {
    await Promise.all(alive.filter((record) => record.order === order).map(stopOne));
  }
  return alive.length > 0;
}

async function stopOne(record: LaunchRecord): Promise<void> {
  if (record.endsWithParent) await waitForEnd(record, ownEndMs);
  for (const [signal, waitMs] of record.steps) {
    if (!isAlive(record)) return;
    signalTo(record, signal);
    await waitForEnd(record, waitMs);
  }
  if (isAlive(record)) {
    const { title, pid } = record;
    throw new Problem(`${title} of an earlier start (pid ${pid}) does not stop.`, `End it with kill -9 ${pid}.`);
  }
}

function signalTo({ title, pid }: LaunchRecord, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw new Problem(
      `${title} of an earlier start (pid ${pid}) belongs to another user and cannot be stopped.`,
      'End it as that user, or use another data folder (LEAKAGE_DATA_DIR).',
      { cause: error },
    );
  }
}

async function waitForEnd(identity: ProcessIdentity, waitMs: number): Promise<void> {
  for (const until = Date.now() + waitMs; Date.now() < until && isAlive(identity); ) await sleep(50);
}

/** Null for what a machine that lost power has half written: no process has survived that. */
export function parseRecord(text: string): LaunchRecord | null {
  try {
    const record = JSON.parse(text) as LaunchRecord;
    return Number.isSafeInteger(record.pid) && record.pid > 1 && Array.isArray(record.steps) ? record : null;
  } catch {
    return null;
  }
}
