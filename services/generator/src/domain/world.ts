import type { MemberProfile } from '@leakage/schemas';
import { DAY_MS, dateText, HOUR_MS, MINUTE_MS, Zone } from './calendar.ts';
import { type Change, concerns, includes, leakageFactor, repeatsFactor, within } from './changes.ts';
import type { Emission } from './emission.ts';
import { type Cell, CellLevels, cellsOf } from './levels.ts';
import { enrollmentDate, languageOf, type Member, planOf, Roster } from './members.ts';
import { NOISE_SPAN_MS, Noise, type Rates } from './noise.ts';
import {
  type Category,
  fullScaleCalls,
  type IssueParameters,
  JOURNEY_TYPES,
  type JourneyType,
  LANGUAGES,
  type Parameters,
  PRESETS,
} from './parameters.ts';
import { Random } from './random.ts';
import { inducedAfterDays, planRepeats } from './repeats.ts';
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
  parameters: Parameters;
}

const HOURS_FROM = Date.UTC(2000, 0, 1) / HOUR_MS;

/** The levels of a week before the anchor stand for all days where a plan needs one figure. */
const REFERENCE_OFFSET = -3;

export class World {
  readonly shape: Shape;
  readonly roster: Roster;
  readonly zone: Zone;
  readonly finalAt: number | null;
  readonly cells: readonly Cell[];
  readonly agents: number;
  readonly scale: number;
  /** No record is sent later than this after the hour in which its story began; a leakage call may induce others. */
  readonly leakSpanMs: number;
  readonly otherSpanMs = NOISE_SPAN_MS + DAY_MS;
  readonly #p: Parameters;
  readonly #levels: CellLevels;
  readonly #changes: Change[];
  #simulatedUntil = Number.NEGATIVE_INFINITY;
  /** The hour up to which members have changed. */
  #membersAt: number;
  readonly #induced: ReadonlyMap<number, number>;
  readonly #inducedAfterDays: readonly number[];
  readonly #completedPerDay: Readonly<Record<JourneyType, number>>;

  /**
   * Throws a RangeError that says which targets a shape cannot meet. With `finalAt` the world gives no stream of records, but
   * what stands at that instant, each event once, in order of event time.
   */
  constructor(shape: Shape, o: { changes?: readonly Change[] | undefined; finalAt?: number | null } = {}) {
    const p = shape.parameters;
    this.shape = shape;
    this.#p = p;
    this.finalAt = o.finalAt ?? null;
    this.#changes = [...(o.changes ?? [])];
    this.zone = new Zone(shape.timeZone);
    this.roster = new Roster(p.members, shape.seed, shape.members);
    this.cells = cellsOf(p, this.roster);
    this.#levels = new CellLevels(p, shape.callsPerDay);
    this.scale = shape.callsPerDay / fullScaleCalls(p);
    this.agents = Math.max(1, Math.round(p.calls.agents * this.scale));
    this.leakSpanMs = p.repeats.depth * p.repeats.maxDays * DAY_MS + this.otherSpanMs;
    this.#inducedAfterDays = inducedAfterDays(p);
    this.#membersAt = this.firstHour;
    this.#completedPerDay = this.#completed();
    this.#induced = shape.parity ? new Map() : this.#plan();
  }

  /** The instant before which all stories have begun. */
  get simulatedUntil(): number {
    return this.#simulatedUntil;
  }

  /** From its instant on: not before `simulatedUntil`. */
  change(change: Change): void {
    this.#changes.push(change);
  }

  get firstHour(): number {
    return Math.floor(this.zone.startOfDay(this.shape.firstDay) / HOUR_MS);
  }

  leakRate(cell: Cell): number {
    return this.shape.parity ? 1 : cell.about.leakRate;
  }

  /** The profiles that the world begins with; in a final world those that it ends with, of new members too. */
  *profiles(): Generator<MemberProfile> {
    const last = this.finalAt === null ? new Map<string | null, MemberProfile>() : this.#lastProfiles(this.finalAt);
    for (let index = 0; index < this.roster.size; index++) {
      const member = this.roster.member(index);
      yield last.get(member.id) ?? profileOf(member, enrollmentDate(member, this.shape.firstDay - 1));
      last.delete(member.id);
    }
    yield* last.values();
  }

  #lastProfiles(finalAt: number): Map<string | null, MemberProfile> {
    const last = new Map<string | null, MemberProfile>();
    // Members change on the way, and this world has still to begin.
    const other = new World(this.shape, { finalAt });
    for (let hour = this.firstHour; hour * HOUR_MS < finalAt; hour++) {
      const out: Emission[] = [];
      other.#enrollments(out, hour);
      other.#profileChanges(out, hour);
      for (const { source, event } of out) {
        if (source !== 'members') continue;
        const known = last.get(event.member_id);
        if ((known?.valid_from ?? 0) <= (event.valid_from ?? 0)) last.set(event.member_id, event);
      }
    }
    return last;
  }

  /**
   * All records of the stories that begin in an hour (hours since 1970 in UTC), each with its instant of sending; or of those
   * alone that may take longer than `otherSpanMs`.
   */
  simulateHour(hour: number, { longOnly = false } = {}): Emission[] {
    const out: Emission[] = [];
    this.#simulatedUntil = Math.max(this.#simulatedUntil, (hour + 1) * HOUR_MS);
    const { day, hour: localHour, weekday } = this.zone.local(hour * HOUR_MS);
    const { hours, weekdays } = this.#p.time;
    const percent = hours[localHour] ?? 0;
    this.#catchUp(hour);
    this.#profileChanges(out, hour);
    this.#membersAt = hour + 1;
    if (longOnly) out.length = 0;
    if (percent === 0) return out;
    // One day of given volumes has them whatever weekday it is.
    const activity = (percent / 100) * (this.shape.parity ? 1 : (weekdays[weekday] ?? 1));
    const moods = new Map(JOURNEY_TYPES.map((type) => [type, this.#mood(type, day, hour)]));
    for (const cell of this.cells) {
      const mood = moods.get(cell.about.journeyType) ?? 1;
      const offset = this.shape.parity ? REFERENCE_OFFSET : day - this.shape.anchorDay;
      const planned = this.#levels.planned(cell, offset);
      this.#failures(out, { hour, day, cell, planned: planned * activity * mood, longOnly });
    }
    if (longOnly) return out;
    for (const [i, type] of JOURNEY_TYPES.entries()) this.#completions(out, { hour, stream: 50 + i, type, activity });
    this.#otherCalls(out, hour, activity);
    this.#enrollments(out, hour);
    return this.finalAt === null ? out : out.filter(({ source }) => source !== 'members');
  }

  /** Members are at an hour what the changes of all hours before have made of them. */
  #catchUp(hour: number): void {
    if (hour < this.#membersAt) throw new Error('hours are simulated in their order');
    for (; this.#membersAt < hour; this.#membersAt++) this.#profileChanges([], this.#membersAt);
  }

  #partOfDay(hour: number): number {
    return (this.#p.time.hours[this.zone.local(hour * HOUR_MS).hour] ?? 0) / 100;
  }

  #plan(): ReadonlyMap<number, number> {
    const leaks = (cell: Cell, daysAgo: number): number => this.#levels.planned(cell, REFERENCE_OFFSET - daysAgo);
    const volumes = { leaks, otherCallsPerDay: this.#p.otherCalls.perDay * this.scale };
    const plan = planRepeats(this.#p, this.roster, this.cells, volumes);
    if (!plan.ok) throw new RangeError(`${plan.problems.join('; ')}. Use more members or fewer calls`);
    return plan.induced;
  }

  /** Journeys that do not fail: as many as the digital events a day have room for, so that all of a type are its part. */
  #completed(): Record<JourneyType, number> {
    const { login, secondView, undecided, twoTypes, perDay } = this.#p.journeys;
    const { calls, afterFailure, issues } = this.#p;
    const opening = login + 1 + 2 * twoTypes;
    const failed: Record<JourneyType, number> = { billing: 0, id_card: 0, pharmacy: 0 };
    let events = 0;
    for (const cell of this.cells) {
      const leaks = this.#levels.planned(cell, REFERENCE_OFFSET);
      const { journeyType, errorAndAbandon, leakRate } = issues[cell.issue];
      const failures = this.shape.parity ? leaks : leaks / leakRate;
      failed[journeyType] += failures;
      // Beside the opening: errors, abandons, and completions later; and the failure of who called first.
      events += failures * (opening + secondView.failed + 1 + errorAndAbandon + afterFailure.completedLater);
      events += leaks * calls.beforeFailure;
    }
    const room = this.shape.eventsPerDay - events;
    const allFailed = sumOver(failed);
    if (room < 0) {
      throw new RangeError(
        `${this.shape.eventsPerDay} digital events a day cannot hold the ${Math.ceil(allFailed)} failed journeys that lead to ${this.shape.callsPerDay} calls a day`,
      );
    }
    const journeys = allFailed + room / (opening + secondView.other + 1 - undecided);
    // A second journey in a session is of one of the other two types.
    const second = twoTypes / 2;
    const completed = (type: JourneyType): number => {
      const first = (journeys * (((1 + 2 * second) * perDay[type]) / sumOver(perDay) - second)) / (1 - second);
      return Math.max(0, first - failed[type]);
    };
    return { billing: completed('billing'), id_card: completed('id_card'), pharmacy: completed('pharmacy') };
  }

  /** Days and hours differ by more than Poisson: what makes plain intervals too narrow. */
  #mood(type: JourneyType, day: number, hour: number): number {
    const { seed } = this.shape;
    const { dayCv, hourCv } = this.#p.time;
    return (
      new Random(seed, 'day', type, day).gammaFactor(dayCv) * new Random(seed, 'hour', type, hour).gammaFactor(hourCv)
    );
  }

  #scene(
    out: Emission[],
    kind: string,
    hour: number,
    stream: number,
    healed: story.Scene['healed'] = () => false,
  ): story.Scene {
    const { seed, rates } = this.shape;
    const place = `${hour - HOURS_FROM}-${stream}`;
    const end = hour * HOUR_MS + (kind === 'leak' ? this.leakSpanMs : this.otherSpanMs);
    const noise = new Noise({
      rates,
      finalAt: this.finalAt,
      random: new Random(seed, 'noise', kind, hour, stream),
      send: (emission) => {
        if (emission.at >= end) throw new Error('a record is sent after the span of its story');
        out.push(emission);
      },
      spareCallId: numbered((n) => `CALL-X-${place}-${n}`),
    });
    return {
      p: this.#p,
      random: new Random(seed, kind, hour, stream),
      noise,
      zone: this.zone,
      agents: this.agents,
      nextSession: numbered((n, letter) => `SES-${letter}-${place}-${n}`),
      nextCall: numbered((n, letter) => `CALL-${letter}-${place}-${n}`),
      // A stream of its own: the field came later than the world, and shifts nothing in it.
      appVersion: (session) => new Random(seed, 'app version', session).weighted(this.#p.journeys.appVersions),
      healed,
    };
  }

  /** `planned`: leakage calls in this hour as the targets want them. */
  #failures(out: Emission[], o: { hour: number; day: number; cell: Cell; planned: number; longOnly: boolean }): void {
    const { cell, hour, planned, longOnly } = o;
    const { failures, repeats } = cell.about;
    const at = hour * HOUR_MS;
    const changes = this.#changes.filter(({ scope }) => concerns(scope, cell));
    const probability = (this.#induced.get(cell.index) ?? 0) * repeats;
    const inducing = changes.reduce((p, change) => p * repeatsFactor(change, at), probability);
    const followOn = 1 + this.#p.calls.followOn;
    const induced = this.#inducedPart(cell, o.day);
    const freshPart = (repeating: number): number => Math.max(0, 1 / followOn - induced * repeating);
    const rates = { fresh: planned * freshPart(1) * failures, leaks: planned * failures, inducing };
    // Where fewer calls are induced, more stories stay: a change says what becomes of both together.
    const effects = changes.map((change) => {
      const compensation = freshPart(1) === 0 ? 1 : freshPart(repeatsFactor(change, at)) / freshPart(1);
      return { change, factor: leakageFactor(change, at) * compensation };
    });
    const { seed } = this.shape;
    const healed: story.Scene['healed'] = (failure) =>
      effects.some(
        ({ change, factor }) =>
          factor < 1 &&
          includes(change.scope, failure) &&
          !new Random(seed, 'fix', change.id, failure.session).chance(factor),
      );
    this.#stories(out, { hour, cell, about: cell.about, rates, healed, longOnly, streams: 0 });
    for (const { change, factor } of effects) {
      if (factor <= 1) continue;
      const { about, part } = within(change.scope, cell.about);
      const more = part * (factor - 1);
      const extra = { fresh: rates.fresh * more, leaks: rates.leaks * more, inducing };
      // Streams of their own: the stories that there are without the incident stay as they are.
      this.#stories(out, { hour, cell, about, rates: extra, healed, longOnly, streams: 1_000 * change.id });
    }
  }

  #stories(
    out: Emission[],
    o: {
      hour: number;
      cell: Cell;
      about: IssueParameters;
      rates: { fresh: number; leaks: number; inducing: number };
      healed: story.Scene['healed'];
      longOnly: boolean;
      streams: number;
    },
  ): void {
    const { hour, cell, about, rates, healed, longOnly, streams } = o;
    const leaks = this.#scene(out, 'leak', hour, streams + cell.index, healed);
    const beginning = ({ random }: story.Scene) => ({
      person: this.roster.someone(random, cell.category, cell.language),
      about,
      at: duringHour(random, hour),
    });
    for (let n = leaks.random.poisson(rates.fresh); n > 0; n--) {
      story.leak(leaks, { ...beginning(leaks), inducing: rates.inducing });
    }
    for (let n = leaks.random.poisson(rates.leaks * this.#p.calls.beforeFailure); n > 0; n--) {
      story.callBeforeFailure(leaks, beginning(leaks));
    }
    if (longOnly) return;
    const others = this.#scene(out, 'failure', hour, streams + cell.index + 100, healed);
    for (let n = others.random.poisson(rates.leaks * (1 / this.leakRate(cell) - 1)); n > 0; n--) {
      story.otherFailure(others, beginning(others));
    }
  }

  /** Induced calls are leakage too: what part of a day's level they are, seen from the levels of the days before. */
  #inducedPart(cell: Cell, day: number): number {
    const { anchorDay, firstDay } = this.shape;
    const perDay = (d: number): number => (d < firstDay ? 0 : this.#levels.planned(cell, d - anchorDay));
    const today = perDay(day);
    if (today === 0) return 0;
    let inducers = 0;
    for (const [daysAgo, part] of this.#inducedAfterDays.entries()) inducers += part * perDay(day - daysAgo);
    const probability = this.#p.repeats.afterFailure * (this.#induced.get(cell.index) ?? 0);
    return (probability * inducers) / ((1 + this.#p.calls.followOn) * today);
  }

  #completions(out: Emission[], o: { hour: number; stream: number; type: JourneyType; activity: number }): void {
    const scene = this.#scene(out, 'completed', o.hour, o.stream);
    for (let n = scene.random.poisson(this.#completedPerDay[o.type] * o.activity); n > 0; n--) {
      story.otherJourney(scene, {
        person: this.roster.anyone(scene.random),
        type: o.type,
        at: duringHour(scene.random, o.hour),
      });
    }
  }

  #otherCalls(out: Emission[], hour: number, activity: number): void {
    const scene = this.#scene(out, 'other call', hour, 60);
    const { random } = scene;
    const { perDay, topics } = this.#p.otherCalls;
    for (let n = random.poisson(perDay * this.scale * activity); n > 0; n--) {
      const orphan = random.chance(this.shape.rates.orphans);
      const person = orphan
        ? { id: `M-${9_000_000 + random.int(1_000_000)}`, category: null }
        : this.roster.anyone(random);
      const topic = random.weighted(topics);
      const at = duringHour(random, hour);
      const kind = orphan ? 'orphan' : 'other';
      if (topic === 'elsewhere') story.elsewhereCall(scene, { person, at, kind });
      else story.familyCall(scene, { person, about: this.#p.issues[topic], at, kind });
    }
  }

  /** New members: some profiles arrive after the first thing the member did. */
  #enrollments(out: Emission[], hour: number): void {
    const scene = this.#scene(out, 'enrollment', hour, 70);
    const { random } = scene;
    const { categories, enrollmentsPerDay, lateProfiles } = this.#p.members;
    const count = random.poisson(
      ((enrollmentsPerDay * this.roster.size) / PRESETS.full.members) * this.#partOfDay(hour),
    );
    for (let i = 1; i <= count; i++) {
      const at = Math.floor(duringHour(random, hour));
      const category = random.weighted(categories.filter(([name]) => name !== 'MAPD Tenured'));
      const id = `M-${hour - HOURS_FROM}${String(i).padStart(3, '0')}`;
      const member: Member = {
        id,
        category,
        segment: 'new',
        language: languageOf(this.#p.members, random, true),
        tenureMonths: 0,
      };
      const active = at + 5 * MINUTE_MS + random.int(25 * MINUTE_MS);
      const late = random.chance(lateProfiles);
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

  #profileChanges(out: Emission[], hour: number): void {
    const partOfDay = this.#partOfDay(hour);
    if (partOfDay === 0) return;
    const scene = this.#scene(out, 'profile change', hour, 80);
    const { random } = scene;
    for (let n = random.poisson(this.roster.size * this.#p.members.changesPerDay * partOfDay); n > 0; n--) {
      const index = random.int(this.roster.size);
      const at = Math.floor(duringHour(random, hour));
      const { segment, category, language } = this.roster.member(index);
      const change = random.chance(0.5)
        ? { category: otherPlan(category, segment) }
        : { language: random.pick(LANGUAGES.filter((one) => one !== language)) };
      const changed = this.roster.change(index, change);
      const date = enrollmentDate(changed, this.shape.firstDay - 1);
      scene.noise.profile({ ...profileOf(changed, date), valid_from: at }, at + random.int(5_000));
    }
  }
}

function otherPlan(category: Category, segment: Member['segment']): Category {
  if (category !== 'Commercial') return 'Commercial';
  return segment === 'new' ? 'MAPD New' : 'MAPD Tenured';
}

/** Ids that count from 1. */
function numbered(write: (n: number, letter: string) => string): (letter?: string) => string {
  let n = 0;
  return (letter = '') => {
    n += 1;
    return write(n, letter);
  };
}

function sumOver(byType: Readonly<Record<JourneyType, number>>): number {
  return JOURNEY_TYPES.reduce((sum, type) => sum + byType[type], 0);
}

function duringHour(random: Random, hour: number): number {
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
