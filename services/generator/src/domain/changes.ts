import { DAY_MS } from './calendar.ts';
import type { Cell } from './levels.ts';
import type { Category, IssueParameters, JourneyType, Language, Weights } from './parameters.ts';

/** What a change is about; a field that is absent is any. */
export interface Scope {
  journeyType?: JourneyType;
  errorCode?: string;
  deviceType?: string;
  category?: Category;
  language?: Language;
}

/** Something that was done to the world at an instant: a fix makes failures rarer, an incident more frequent. */
export interface Change {
  /** Counts from 1 in a world. */
  id: number;
  /** From stories that begin at this instant on, the start of an hour. */
  from: number;
  scope: Scope;
  /** How many leakage calls there are in its scope for each that there was, once it is rolled out, induced ones included. */
  leakage: number;
  /** The same for the probability that a leakage call induces another. */
  repeats: number;
  /** Days until the whole effect; its logarithm grows in proportion. */
  rolloutDays: number;
}

/** The part of a change's effect (of its logarithm) that there is at an instant, 0 to 1. */
function progress(change: Change, at: number): number {
  if (at < change.from) return 0;
  return change.rolloutDays === 0 ? 1 : Math.min(1, (at - change.from) / (change.rolloutDays * DAY_MS));
}

export function leakageFactor(change: Change, at: number): number {
  return change.leakage ** progress(change, at);
}

export function repeatsFactor(change: Change, at: number): number {
  return change.repeats ** progress(change, at);
}

/** Whether any failure of a cell is in the scope. */
export function concerns({ journeyType, errorCode, deviceType, category, language }: Scope, cell: Cell): boolean {
  return (
    (journeyType ?? cell.about.journeyType) === cell.about.journeyType &&
    (category ?? cell.category) === cell.category &&
    (language ?? cell.language) === cell.language &&
    has(cell.about.codes, errorCode) &&
    has(cell.about.devices, deviceType)
  );
}

export function includes({ errorCode, deviceType }: Scope, failure: { code: string; device: string }): boolean {
  return (errorCode ?? failure.code) === failure.code && (deviceType ?? failure.device) === failure.device;
}

/** The failures of a cell that are in a scope: what they are like, and what part of all they are. */
export function within(scope: Scope, about: IssueParameters): { about: IssueParameters; part: number } {
  const codes = only(about.codes, scope.errorCode);
  const devices = only(about.devices, scope.deviceType);
  const part = (weightOf(codes) / weightOf(about.codes)) * (weightOf(devices) / weightOf(about.devices));
  return { about: { ...about, codes, devices }, part };
}

function has(weights: Weights<string>, name: string | undefined): boolean {
  return weightOf(only(weights, name)) > 0;
}

function only(weights: Weights<string>, name: string | undefined): Weights<string> {
  return name === undefined ? weights : weights.filter(([one]) => one === name);
}

function weightOf(weights: Weights<string>): number {
  return weights.reduce((sum, [, weight]) => sum + weight, 0);
}
