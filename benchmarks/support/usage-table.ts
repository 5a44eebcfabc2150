import type { Sample } from './progress.ts';

const servers = ['Postgres', 'Kafka'];

/** Cores in use between the first and the last sample: by all services together, by Postgres, by Kafka. */
export function cpuOf(samples: readonly Sample[]): number[] {
  const [first] = samples;
  const last = samples.at(-1);
  if (first === undefined || last === undefined || first === last) return [Number.NaN, Number.NaN, Number.NaN];
  const seconds = (last.atMs - first.atMs) / 1000;
  const cores = (names: readonly string[]): number =>
    names.reduce(
      (sum, name) => sum + (last.usage.get(name)?.cpuSeconds ?? 0) - (first.usage.get(name)?.cpuSeconds ?? 0),
      0,
    ) / seconds;
  const services = [...last.usage.keys()].filter((name) => !servers.includes(name));
  return [cores(services), ...servers.map((name) => cores([name]))];
}
