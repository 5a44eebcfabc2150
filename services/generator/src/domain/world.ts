import type { MemberProfile } from '@leakage/schemas';
import { DAY_MS, dateText, HOUR_MS, MINUTE_MS, Zone } from './calendar.ts';
import type { Emission } from './emission.ts';
import { type Cell, cellsOf, leaksPerDay } from './levels.ts';
import { enrollmentDate, languageOf, type Member, planOf, Roster } from './members.ts';
import { NOISE_SPAN_MS, Noise, type Rates } from './noise.ts';
import {
  AGENTS,
  APP_VERSIONS,
  CALL_BEFORE_FAILURE_SHARE,
  CATEGORIES,
  CATEGORY_SHARE,
  DAY_CV,
  ENROLLMENTS_PER_DAY,
  EVENTS_PER_COMPLETED,
  EVENTS_PER_FAILED,
  FOLLOW_ON_SHARE,
  FULL_SCALE_CALLS,
  HOUR_CV,
  HOUR_PERCENT,
  ISSUE_PARAMETERS,
  JOURNEY_TYPES,
  JOURNEYS_PER_DAY,
  type JourneyType,
  LANGUAGES,
  LATE_PROFILE_SHARE,
  OTHER_CALL_TOPICS,
  OTHER_CALLS_PER_DAY,
  PROFILE_CHANGES_PER_MEMBER_DAY,
  REPEAT_AFTER_FAILURE,
  REPEAT_DELAY,
  REPEAT_DEPTH_MAX,
  WEEKDAY_FACTOR,
} from './parameters.ts';
import { Random } from './random.ts';
import { INDUCED_AFTER_DAYS, planRepeats } from './repeats.ts';
import * as story from './stories.ts';

/** Everything that decides what the world is: the same shape gives the same bytes. */
export interface Shape {
  seed: number;
  timeZone: string;
  /** Last complete local day before the live part (days since 1970-01-01): targets hold on its last seven days. */
  anchorDay: number;
  /** First local day. */
  firstDay: number;
  members: number;
  /** Digital events and leakage calls a day. */
  eventsPerDay: number;
  callsPerDay: number;
  /** Every failure leaks, and repeats are as chance has them: one day of the original's figures. */
  parity: boolean;
  rates: Rates;
}

/** No record is sent later after the hour in which its story began. */
export const STORY_SPAN_MS = REPEAT_DEPTH_MAX * REPEAT_DELAY.maxDays * DAY_MS + NOISE_SPAN_MS + DAY_MS;

const HOURS_FROM = Date.UTC(2000, 0, 1) / HOUR_MS;

/** The levels of a week before the anchor stand for all days where a plan needs one figure. */
const REFERENCE_OFFSET = -3;

export class World {
  readonly shape: Shape;
  readonly roster: Roster;
  readonly zone: Zone;
  readonly cells: readonly Cell[];
  readonly agents: number;
  readonly scale: number;
  readonly #induced: ReadonlyMap<number, number>;
  readonly #completedPerDay: Readonly<Record<JourneyType, number>>;

  /** Throws a RangeError that says which targets a shape cannot meet. */
  constructor(shape: Shape) {
    this.shape = shape;
    this.zone = new Zone(shape.timeZone);
    this.roster = new Roster(shape.seed, shape.members);
    this.cells = cellsOf(this.roster);
    this.scale = shape.callsPerDay / FULL_SCALE_CALLS;
    this.agents = Math.max(1, Math.round(AGENTS * this.scale));
    this.#completedPerDay = this.#completed();
    this.#induced = shape.parity ? new Map() : this.#plan();
  }

  get firstHour(): number {
    return Math.floor(this.zone.startOfDay(this.shape.firstDay) / HOUR_MS);
  }

  leakRate(cell: Cell): number {
    return this.shape.parity ? 1 : ISSUE_PARAMETERS[cell.issue].leakRate;
  }

  /** The profile of a member as it is when the world begins. */
  baseProfile(index: number, emittedAt: number): MemberProfile {
    const member = this.roster.member(index);
    const date = enrollmentDate(member, this.shape.firstDay - 1);
    return { ...profileOf(member, date), valid_from: null, emitted_at: emittedAt };
  }

  /** All records of the stories that begin in an hour (hours since 1970 in UTC), each with its instant of sending. */
  simulateHour(hour: number): Emission[] {
    const out: Emission[] = [];
    const { day, hour: localHour, weekday } = this.zone.local(hour * HOUR_MS);
    const percent = HOUR_PERCENT[localHour] ?? 0;
    if (percent === 0) return out;
    const activity = (percent / 100) * (WEEKDAY_FACTOR[weekday] ?? 1);
    const moods = new Map(JOURNEY_TYPES.map((type) => [type, this.#mood(type, day, hour)]));
    for (const cell of this.cells) {
      const mood = moods.get(ISSUE_PARAMETERS[cell.issue].journeyType) ?? 1;
      this.#failures(out, {
        hour,
        day,
        cell,
        perHour: leaksPerDay(cell, day - this.shape.anchorDay, this.shape.callsPerDay) * activity * mood,
      });
    }
    for (const [i, type] of JOURNEY_TYPES.entries()) this.#completions(out, { hour, stream: 50 + i, type, activity });
    this.#otherCalls(out, hour, activity);
    this.#enrollments(out, hour, percent / 100);
    this.#profileChanges(out, hour, percent / 100);
    return out;
  }

  #plan(): ReadonlyMap<number, number> {
    const leaks = (cell: Cell, daysAgo: number): number =>
      leaksPerDay(cell, REFERENCE_OFFSET - daysAgo, this.shape.callsPerDay);
    const plan = planRepeats(this.roster, this.cells, { leaks, otherCallsPerDay: OTHER_CALLS_PER_DAY * this.scale });
    if (!plan.ok) throw new RangeError(`${plan.problems.join('; ')}. Use more members or fewer calls`);
    return plan.induced;
  }

  #completed(): Record<JourneyType, number> {
    let failed = 0;
    for (const cell of this.cells) {
      failed += leaksPerDay(cell, REFERENCE_OFFSET, this.shape.callsPerDay) / this.leakRate(cell);
    }
    const journeys = (this.shape.eventsPerDay - failed * EVENTS_PER_FAILED) / EVENTS_PER_COMPLETED;
    if (journeys < 0) {
      throw new RangeError(
        `${this.shape.eventsPerDay} digital events a day cannot hold the ${Math.ceil(failed)} failed journeys that lead to ${this.shape.callsPerDay} calls a day`,
      );
    }
    const all = JOURNEY_TYPES.reduce((sum, type) => sum + JOURNEYS_PER_DAY[type], 0);
    return {
      billing: (journeys * JOURNEYS_PER_DAY.billing) / all,
      id_card: (journeys * JOURNEYS_PER_DAY.id_card) / all,
      pharmacy: (journeys * JOURNEYS_PER_DAY.pharmacy) / all,
    };
  }

  /** Days and hours differ by more than Poisson: what makes plain intervals too narrow. */
  #mood(type: JourneyType, day: number, hour: number): number {
    const { seed } = this.shape;
    return (
      new Random(seed, 'day', type, day).gammaFactor(DAY_CV) * new Random(seed, 'hour', type, hour).gammaFactor(HOUR_CV)
    );
  }

  #scene(out: Emission[], kind: string, hour: number, stream: number): story.Scene {
    const { seed, rates } = this.shape;
    const place = `${hour - HOURS_FROM}-${stream}`;
    const end = hour * HOUR_MS + STORY_SPAN_MS;
    const noise = new Noise({
      rates,
      random: new Random(seed, 'noise', kind, hour, stream),
      send: (emission) => {
        if (emission.at >= end) throw new Error('a record is sent after the span of its story');
        out.push(emission);
      },
      spareCallId: numbered((n) => `CALL-X-${place}-${n}`),
    });
    return {
      random: new Random(seed, kind, hour, stream),
      noise,
      zone: this.zone,
      agents: this.agents,
      nextSession: numbered((n, letter) => `SES-${letter}-${place}-${n}`),
      nextCall: numbered((n, letter) => `CALL-${letter}-${place}-${n}`),
      // A stream of its own: the field came later than the world, and shifts nothing in it.
      appVersion: (session) => new Random(seed, 'app version', session).weighted(APP_VERSIONS),
    };
  }

  #failures(out: Emission[], o: { hour: number; day: number; cell: Cell; perHour: number }): void {
    const { cell, hour } = o;
    const inducing = this.#induced.get(cell.index) ?? 0;
    const leaks = this.#scene(out, 'leak', hour, cell.index);
    const others = this.#scene(out, 'failure', hour, cell.index + 100);
    const someone = (random: Random): Member => this.roster.someone(random, cell.category, cell.language);
    const fresh = Math.max(0, o.perHour / (1 + FOLLOW_ON_SHARE) - o.perHour * this.#inducedPart(cell, o.day));
    for (let n = leaks.random.poisson(fresh); n > 0; n--) {
      story.leak(leaks, { person: someone(leaks.random), issue: cell.issue, at: within(leaks.random, hour), inducing });
    }
    for (let n = leaks.random.poisson(o.perHour * CALL_BEFORE_FAILURE_SHARE); n > 0; n--) {
      story.callBeforeFailure(leaks, {
        person: someone(leaks.random),
        issue: cell.issue,
        at: within(leaks.random, hour),
      });
    }
    for (let n = others.random.poisson(o.perHour * (1 / this.leakRate(cell) - 1)); n > 0; n--) {
      story.otherFailure(others, {
        person: someone(others.random),
        issue: cell.issue,
        at: within(others.random, hour),
      });
    }
  }

  /** Induced calls are leakage too: what part of a day's level they are, seen from the levels of the days before. */
  #inducedPart(cell: Cell, day: number): number {
    const inducing = this.#induced.get(cell.index) ?? 0;
    const { anchorDay, firstDay, callsPerDay } = this.shape;
    const perDay = (d: number): number => (d < firstDay ? 0 : leaksPerDay(cell, d - anchorDay, callsPerDay));
    let inducers = 0;
    for (const [daysAgo, part] of INDUCED_AFTER_DAYS.entries()) inducers += part * perDay(day - daysAgo);
    return (REPEAT_AFTER_FAILURE * inducing * inducers) / ((1 + FOLLOW_ON_SHARE) * perDay(day));
  }

  #completions(out: Emission[], o: { hour: number; stream: number; type: JourneyType; activity: number }): void {
    const scene = this.#scene(out, 'completed', o.hour, o.stream);
    for (let n = scene.random.poisson(this.#completedPerDay[o.type] * o.activity); n > 0; n--) {
      story.otherJourney(scene, {
        person: this.roster.anyone(scene.random),
        type: o.type,
        at: within(scene.random, o.hour),
      });
    }
  }

  #otherCalls(out: Emission[], hour: number, activity: number): void {
    const scene = this.#scene(out, 'other call', hour, 60);
    const { random } = scene;
    for (let n = random.poisson(OTHER_CALLS_PER_DAY * this.scale * activity); n > 0; n--) {
      const orphan = random.chance(this.shape.rates.orphans);
      const person = orphan
        ? { id: `M-${9_000_000 + random.int(1_000_000)}`, category: null }
        : this.roster.anyone(random);
      const topic = random.weighted(OTHER_CALL_TOPICS);
      const at = within(random, hour);
      const kind = orphan ? 'orphan' : 'other';
      if (topic === 'elsewhere') story.elsewhereCall(scene, { person, at, kind });
      else story.familyCall(scene, { person, issue: topic, at, kind });
    }
  }

  /** New members: some profiles arrive after the first thing the member did. */
  #enrollments(out: Emission[], hour: number, partOfDay: number): void {
    const scene = this.#scene(out, 'enrollment', hour, 70);
    const { random } = scene;
    const count = random.poisson(ENROLLMENTS_PER_DAY * this.scale * partOfDay);
    for (let i = 1; i <= count; i++) {
      const at = Math.floor(within(random, hour));
      const category = random.weighted(
        CATEGORIES.filter((c) => c !== 'MAPD Tenured').map((c) => [c, CATEGORY_SHARE[c]] as const),
      );
      const id = `M-${hour - HOURS_FROM}${String(i).padStart(3, '0')}`;
      const member: Member = { id, category, segment: 'new', language: languageOf(random, true), tenureMonths: 0 };
      const active = at + 5 * MINUTE_MS + random.int(25 * MINUTE_MS);
      const late = random.chance(LATE_PROFILE_SHARE);
      const sentAt = late ? active + 1 + random.int(DAY_MS - 2 * HOUR_MS) : at;
      const { day } = this.zone.local(at);
      // East of Greenwich the local date can be a day that has not begun in UTC, where profiles are judged.
      const date = dateText(Math.min(day, Math.floor(sentAt / DAY_MS)));
      scene.noise.profile({ ...profileOf(member, date), valid_from: this.zone.startOfDay(day) }, sentAt);
      story.otherJourney(scene, { person: member, type: random.pick(JOURNEY_TYPES), at: active });
      if (random.chance(0.2))
        story.elsewhereCall(scene, { person: member, at: active + 10 * MINUTE_MS, kind: 'enrollment' });
    }
  }

  #profileChanges(out: Emission[], hour: number, partOfDay: number): void {
    const scene = this.#scene(out, 'profile change', hour, 80);
    const { random } = scene;
    for (let n = random.poisson(this.roster.size * PROFILE_CHANGES_PER_MEMBER_DAY * partOfDay); n > 0; n--) {
      const member = this.roster.anyone(random);
      const at = Math.floor(within(random, hour));
      const changed: Member = random.chance(0.5)
        ? { ...member, category: member.category === 'Commercial' ? 'MAPD Tenured' : 'Commercial' }
        : { ...member, language: random.pick(LANGUAGES.filter((language) => language !== member.language)) };
      const date = enrollmentDate(member, this.shape.firstDay - 1);
      scene.noise.profile({ ...profileOf(changed, date), valid_from: at }, at + random.int(5_000));
    }
  }
}

/** Ids that count from 1. */
function numbered(write: (n: number, letter: string) => string): (letter?: string) => string {
  let n = 0;
  return (letter = '') => {
    n += 1;
    return write(n, letter);
  };
}

function within(random: Random, hour: number): number {
  return hour * HOUR_MS + random.next() * HOUR_MS;
}

function profileOf(member: Member, date: string): MemberProfile {
  return {
    member_id: member.id,
    plan_type: planOf(member.category),
    segment: member.segment,
    language_preference: member.language,
    tenure_months: member.tenureMonths,
    enrollment_date: date,
    valid_from: null,
    revision: 0,
    emitted_at: null,
  };
}
