import { readFile } from 'node:fs/promises';
import type { GeneratorSettings } from './config.ts';
import { dayOfDate, Zone } from './domain/calendar.ts';
import { parametersWith } from './domain/overrides.ts';
import { DEFAULT_PARAMETERS, type Parameters, PRESETS } from './domain/parameters.ts';
import type { Shape } from './domain/world.ts';

/** The world that the settings and PARAMETER_FILE ask for, as of an instant. */
export function planShape(s: GeneratorSettings, nowMs: number, parameters: Parameters = DEFAULT_PARAMETERS): Shape {
  const preset = PRESETS[s.preset];
  const parity = s.preset === 'parity';
  const anchorDay = s.anchorDate === undefined ? new Zone(s.timeZone).local(nowMs).day - 1 : dayOfDate(s.anchorDate);
  return {
    seed: s.seed,
    timeZone: s.timeZone,
    anchorDay,
    firstDay: anchorDay - (parity ? 1 : s.historyDays) + 1,
    members: s.numMembers ?? preset.members,
    eventsPerDay: s.numDigitalJourneys ?? preset.events,
    callsPerDay: s.numCalls ?? preset.calls,
    parity,
    rates: {
      duplicates: s.duplicateRate,
      resent: s.resendRate,
      late: s.lateRate,
      lateWithinDay: s.lateDayRate,
      lateBeyondTwoDays: s.veryLateRate,
      jitterSeconds: s.jitterSeconds,
      corrections: s.correctionRate,
      deletions: s.deletionRate,
      malformed: s.malformedRate,
      orphans: s.orphanRate,
    },
    parameters,
  };
}

/** The parameters of a file; the default ones without. Throws a RangeError that says what is wrong with it. */
export async function readParameters(path: string | undefined): Promise<Parameters> {
  if (path === undefined) return DEFAULT_PARAMETERS;
  try {
    return parametersWith(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw new RangeError(`PARAMETER_FILE ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/**
 * What differs between the world that was begun and the one that is asked for now. When it began is not compared: a world
 * goes on from its own first day.
 */
export function differences(begun: Shape, wanted: Shape): string[] {
  const compared = (shape: Shape): [string, unknown][] => {
    const { anchorDay: _anchor, firstDay: _first, rates, parameters, ...rest } = shape;
    const groups = Object.entries(parameters).map(([name, value]) => [`parameters.${name}`, JSON.stringify(value)]);
    return [...Object.entries(rest), ...Object.entries(rates), ...(groups as [string, unknown][])];
  };
  const now = new Map(compared(wanted));
  return compared(begun)
    .filter(([name, value]) => now.get(name) !== value)
    .map(([name, value]) =>
      name.startsWith('parameters.')
        ? `${name} of PARAMETER_FILE were others`
        : `${name} was ${String(value)}, is now ${String(now.get(name))}`,
    );
}
