import type { Change, Disturbance, GeneratorStatus } from './generator-client.ts';

const whole = new Intl.NumberFormat('en-US');
const instant = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

export function statusLines(s: GeneratorStatus): string[] {
  const speed = s.speed === 1 ? 'as fast as the clock' : `${s.speed} times as fast as the clock, never ahead of it`;
  return [
    `Seed ${s.seed}: ${whole.format(s.records)} records sent, up to ${s.simulated}${s.nextRecord === null ? '' : `; the next one belongs to ${s.nextRecord}`}.`,
    s.history === 'running' ? 'The history is being published.' : `The history is published; time runs ${speed}.`,
    ...(s.paused ? ['It is paused: `leakage simulate resume` lets it go on.'] : []),
    ...s.changes.map(changeLine),
    ...s.disturbances.map(disturbanceLine),
  ];
}

export function changeLine(c: Change): string {
  const scope = Object.values(c.scope).join(', ');
  const repeats = c.repeats === 1 ? '' : `, calls induced by a leakage call x ${c.repeats}`;
  const rollout = c.rolloutDays === 0 ? 'at once' : `in full after ${c.rolloutDays} days`;
  return `Change ${c.id}: leakage of ${scope === '' ? 'everything' : scope} x ${Number(c.leakage.toFixed(3))}${repeats}, from ${instant(c.from)} on, ${rollout}.`;
}

export function disturbanceLine(d: Disturbance): string {
  return `Disturbance ${d.id}: ${disturbanceText(d)}, from ${instant(d.from)} to ${instant(d.until)}.`;
}

function disturbanceText(d: Disturbance): string {
  switch (d.kind) {
    case 'outage':
      return `nothing of ${d.source} is sent${d.lost ? ', and it never will be' : '; what is held back comes afterwards'}`;
    case 'duplicates':
      return `${d.source === null ? 'every record' : `every record of ${d.source}`} is sent ${d.copies} times`;
    case 'delay':
      return `partition ${d.partition} of ${d.source} comes ${d.delayMs / 60_000} minutes late`;
    case 'schema':
      return `${d.source} come ${d.breaking ? 'with the member id as an object' : 'with a field nobody knows'}`;
  }
}
