import type { ReplayState } from './replay-store.ts';

const whole = new Intl.NumberFormat('en-US');

export const wholeNumber = (value: number): string => whole.format(value);

const outcomes = ['accepted', 'duplicates', 'superseded', 'conflicts', 'quarantined'] as const;

/** What a replay is and what it did, as one document. */
export function replayDocument(replay: ReplayState) {
  const { id, service, generation, begins, state, paused, recordsPerSecond, askedBy, total, offsets, holes } = replay;
  return {
    id,
    service,
    generation,
    from: begins,
    state,
    paused,
    recordsPerSecond,
    askedBy,
    createdAt: new Date(replay.createdAt).toISOString(),
    endedAt: replay.endedAt === null ? null : new Date(replay.endedAt).toISOString(),
    offsets: { total: total ?? offsets, read: offsets, holes },
    records: offsets - holes,
    outcomes: Object.fromEntries(outcomes.map((outcome) => [outcome, replay[outcome]])),
    changed: replay.accepted,
  };
}

/** `replay 3 of silver-joiner, generation 1`. */
export function nameOf({ id, service, generation }: Pick<ReplayState, 'id' | 'service' | 'generation'>): string {
  return `replay ${id} of ${service}${generation === null ? '' : `, generation ${generation}`}`;
}

/** In the words of each service: bronze adds rows and judges nothing. */
function outcomeParts(replay: ReplayState): string[] {
  const names =
    replay.service === 'bronze-sink'
      ? ([
          ['accepted', 'added'],
          ['duplicates', 'there already'],
        ] as const)
      : ([
          ['accepted', 'accepted'],
          ['duplicates', 'duplicates'],
          ['superseded', 'superseded'],
          ['conflicts', 'conflicts'],
          ['quarantined', 'quarantined'],
        ] as const);
  return names.flatMap(([outcome, name]) => (replay[outcome] > 0 ? [`${wholeNumber(replay[outcome])} ${name}`] : []));
}

export interface Pulse {
  readonly replay: ReplayState;
  /** Offsets read a second, since this process began to read; 0 while it has not. */
  readonly perSecond: number;
}

export function progressLine({ replay, perSecond }: Pulse): string {
  const { total, offsets } = replay;
  if (total === null) return '';
  const parts = outcomeParts(replay).join(', ');
  const left = perSecond > 0 ? `${duration((total - offsets) / perSecond)} left` : 'starting';
  const part = total === 0 ? 100 : Math.floor((offsets / total) * 100);
  const rate = perSecond > 0 ? [`${wholeNumber(Math.round(perSecond))}/s`] : [];
  const progress = `${part} %  ${wholeNumber(offsets)} of ${wholeNumber(total)} records`;
  return [progress, ...rate, ...(offsets < total ? [left] : []), ...(parts === '' ? [] : [parts])].join('  |  ');
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** What a replay that is over has done, for a person. */
export function summaryLines(replay: ReplayState): string[] {
  const records = wholeNumber(replay.offsets - replay.holes);
  const took = duration(((replay.endedAt ?? replay.createdAt) - replay.createdAt) / 1000);
  const name = capital(nameOf(replay));
  const parts = outcomeParts(replay).join(', ');
  return [
    `${name}: ${replay.state}, ${records} records in ${took}${parts === '' ? '' : ` (${parts})`}.`,
    changeLine(replay, records),
  ];
}

function changeLine({ service, accepted }: ReplayState, records: string): string {
  if (accepted === 0) return `Nothing changed: ${records} records, all known.`;
  if (service === 'bronze-sink') return `${wholeNumber(accepted)} rows were added that bronze lacked.`;
  return `${wholeNumber(accepted)} records were accepted that silver lacked; what followed from them is in its change log.`;
}

/** One line for each, the newest first. */
export function listLines(replays: readonly ReplayState[]): string[] {
  if (replays.length === 0) return ['There has been no replay.'];
  const header = ['id', 'service', 'generation', 'from', 'state', 'read', 'changed', 'begun', 'by'];
  const rows = replays.map((replay) => [
    String(replay.id),
    replay.service,
    replay.generation === null ? '-' : String(replay.generation),
    replay.begins.length > 24 ? `${replay.begins.slice(0, 23)}…` : replay.begins,
    replay.paused ? 'paused' : replay.state,
    `${wholeNumber(replay.offsets)}${replay.total === null ? '' : ` of ${wholeNumber(replay.total)}`}`,
    wholeNumber(replay.accepted),
    new Date(replay.createdAt).toISOString().slice(0, 16).replace('T', ' '),
    replay.askedBy,
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [header, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

export function capital(text: string): string {
  return `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}`;
}
