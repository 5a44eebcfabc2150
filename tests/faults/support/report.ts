import { appendFileSync } from 'node:fs';

export interface FaultEntry {
  /** The test file, without its ending. */
  readonly kind: string;
  /** What was done, in words. */
  readonly fault: string;
  readonly times: number;
}

/** A long run (FAULTS=long) repeats what the run of every day does once. */
export const long = process.env.FAULTS === 'long';

/** Notes a fault that was endured, as a line of JSON in the file that FAULTS_REPORT names, where it names one. */
export function report(entry: FaultEntry): void {
  const file = process.env.FAULTS_REPORT;
  if (file) appendFileSync(file, `${JSON.stringify(entry)}\n`);
}
