import { readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second, whatever the clock of the kernel is. */
const ticksPerSecond = 100;
const kibibyte = 1024;

/** What a process has used of the machine, its children included. */
export interface Usage {
  readonly cpuSeconds: number;
  /** Without memory that it shares with others: Postgres' cache, which fills up to its setting whatever is stored. */
  readonly peakBytes: number;
  /** The same at this instant. */
  readonly nowBytes: number;
}

/** Of a process, of all it has started, and of those that have ended. Linux only. */
function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything; behind it the fields 3 and on.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
  const own = { cpuSeconds: ticks / ticksPerSecond, ...memoryOf(pid) };
  return childrenOf(pid).reduce((sum, child) => added(sum, usageOfLiving(child) ?? none), own);
}

export const none: Usage = { cpuSeconds: 0, peakBytes: 0, nowBytes: 0 };

/** Null when it has ended: then its parent counts it. */
export function usageOfLiving(pid: number): Usage | null {
  try {
    return usageOf(pid);
  } catch {
    return null;
  }
}

function added(a: Usage, b: Usage): Usage {
  return {
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
    peakBytes: a.peakBytes + b.peakBytes,
    nowBytes: a.nowBytes + b.nowBytes,
  };
}

function memoryOf(pid: number): Pick<Usage, 'peakBytes' | 'nowBytes'> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * kibibyte;
  const shared = bytes('RssShmem');
  return { peakBytes: bytes('VmHWM') - shared, nowBytes: bytes('VmRSS') - shared };
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
