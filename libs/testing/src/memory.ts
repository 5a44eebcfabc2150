import { readFileSync } from 'node:fs';

/** Resident memory of one process at one moment; `atMs` on whatever clock, ascending. */
export interface MemorySample {
  readonly atMs: number;
  readonly bytes: number;
}

export interface MemoryReport {
  readonly name: string;
  readonly samples: number;
  readonly maxBytes: number;
  /** Medians of the first, the middle and the last third of the samples. */
  readonly firstThirdBytes: number;
  readonly middleThirdBytes: number;
  readonly lastThirdBytes: number;
  readonly maxFirstThirdBytes: number;
  readonly maxLastThirdBytes: number;
  /** Least squares over all samples: what a leak would look like, but a warm-up, too. */
  readonly slopeBytesPerMinute: number;
  /** The last third is no higher than those before it and a margin: memory does not grow with what was processed. */
  readonly flat: boolean;
  /** The judgement with its figures, for a message or a log. */
  readonly sentence: string;
}

export interface MemorySampler {
  /** Begins or goes on with the series of that name; a process that was started anew continues the old series. */
  watch(name: string, pid: number): void;
  /** The largest sample of that name so far; 0 before the first. */
  max(name: string): number;
  /** What was seen so far; `sinceMs` (of performance.now()) leaves out what came before. */
  report(name: string, o?: { readonly sinceMs?: number }): MemoryReport;
  /** Stops sampling; reports can still be made. */
  stop(): void;
}

export interface MemorySamplerOptions {
  readonly everyMs?: number;
  /** Samples kept per name. When there are as many, every second one goes and the interval doubles: a run may last. */
  readonly samplesMax?: number;
}

// A garbage collector takes its time: a third may lie so much above the one before it and mean nothing.
const flatFactor = 1.15;
const flatSlackBytes = 64 * 1024 * 1024;

/** Samples VmRSS of processes until it is stopped. Linux only: elsewhere `watch` throws. */
export function sampleMemory(
  processes: Readonly<Record<string, number>> = {},
  { everyMs = 250, samplesMax = 2_000 }: MemorySamplerOptions = {},
): MemorySampler {
  const watched = new Map<string, { pid: number; samples: MemorySample[]; max: number }>();
  let turn = 0;
  let stride = 1;
  const look = (): void => {
    turn += 1;
    if (turn % stride !== 0) return;
    for (const series of watched.values()) {
      const bytes = residentBytes(series.pid);
      if (bytes === null) continue;
      series.samples.push({ atMs: performance.now(), bytes });
      series.max = Math.max(series.max, bytes);
    }
    if ([...watched.values()].every(({ samples }) => samples.length < samplesMax)) return;
    stride *= 2;
    for (const series of watched.values()) series.samples = series.samples.filter((_, at) => at % 2 === 0);
  };
  const timer = setInterval(look, everyMs).unref();
  const seriesOf = (name: string) => {
    const series = watched.get(name);
    if (series === undefined) throw new Error(`the memory of ${name} is not watched`);
    return series;
  };
  const sampler: MemorySampler = {
    watch: (name, pid) => {
      if (process.platform !== 'linux') throw new Error('memory can be sampled on Linux only');
      const known = watched.get(name);
      if (known === undefined) watched.set(name, { pid, samples: [], max: 0 });
      else known.pid = pid;
    },
    max: (name) => seriesOf(name).max,
    report: (name, { sinceMs = 0 } = {}) =>
      memoryReport(
        name,
        seriesOf(name).samples.filter(({ atMs }) => atMs >= sinceMs),
      ),
    stop: () => clearInterval(timer),
  };
  for (const [name, pid] of Object.entries(processes)) sampler.watch(name, pid);
  return sampler;
}

/** The figures of one series. Throws when there are fewer than three samples, of which no third can be taken. */
export function memoryReport(name: string, samples: readonly MemorySample[]): MemoryReport {
  if (samples.length < 3) throw new Error(`${samples.length} samples of ${name} say nothing about its memory`);
  const third = Math.floor(samples.length / 3);
  const bytes = samples.map((sample) => sample.bytes);
  const first = bytes.slice(0, third);
  const middle = bytes.slice(third, bytes.length - third);
  const last = bytes.slice(bytes.length - third);
  // A level that was there before, in the first third or the middle, is none that grows.
  const before = Math.max(median(first), median(middle));
  const limit = before * flatFactor + flatSlackBytes;
  const flat = median(last) <= limit;
  const slope = slopePerMs(samples) * 60_000;
  const sentence =
    `${name} ${flat ? 'is flat' : 'grows'}: ${mb(median(first))} in the beginning, ${mb(median(middle))} in the middle, ${mb(median(last))} in the end ` +
    `(at most ${mb(limit)} counts as flat), ${mb(Math.max(...bytes))} at most, ${mb(slope)} a minute, ${samples.length} samples`;
  return {
    name,
    samples: samples.length,
    maxBytes: Math.max(...bytes),
    firstThirdBytes: median(first),
    middleThirdBytes: median(middle),
    lastThirdBytes: median(last),
    maxFirstThirdBytes: Math.max(...first),
    maxLastThirdBytes: Math.max(...last),
    slopeBytesPerMinute: slope,
    flat,
    sentence,
  };
}

/** Null when the process is gone (a zombie has no memory either). */
export function residentBytes(pid: number): number | null {
  let status: string;
  try {
    status = readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kib === undefined ? null : Number(kib) * 1024;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

function slopePerMs(samples: readonly MemorySample[]): number {
  const mean = (of: (sample: MemorySample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const at = mean(({ atMs }) => atMs);
  const level = mean(({ bytes }) => bytes);
  let along = 0;
  let spread = 0;
  for (const { atMs, bytes } of samples) {
    along += (atMs - at) * (bytes - level);
    spread += (atMs - at) ** 2;
  }
  return spread === 0 ? 0 : along / spread;
}

function mb(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
