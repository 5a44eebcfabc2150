import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';
import { DAY_MS, HOUR_MS, MINUTE_MS } from './calendar.ts';
import { type Damage, type Emission, type TruthCall, uuid7 } from './emission.ts';
import type { Random } from './random.ts';

/** How the world is spoiled: shares of all records (duplicates, lateness, malformed) or of all calls. */
export interface Rates {
  duplicates: number;
  /** The same record again after hours, with another emitted_at. */
  resent: number;
  late: number;
  lateWithinDay: number;
  lateBeyondTwoDays: number;
  jitterSeconds: number;
  corrections: number;
  deletions: number;
  malformed: number;
  orphans: number;
}

export const DEFAULT_RATES: Rates = {
  duplicates: 0.005,
  resent: 0.001,
  late: 0.02,
  lateWithinDay: 0.003,
  lateBeyondTwoDays: 0.0002,
  jitterSeconds: 5,
  corrections: 0.02,
  deletions: 0.001,
  malformed: 0.001,
  orphans: 0.002,
};

/** The longest way from an event to its last record: very late, then corrected, withdrawn and sent again. */
export const NOISE_SPAN_MS = 4 * DAY_MS + 16 * HOUR_MS;

/** Two of the six kinds of damage exist for calls only: calls get them as often as all records together should. */
const RECORDS_PER_CALL = 15;
const KINDS = 6;

const LATENCY_MS = 200;

/** Versions of an event with the instants at which they are sent. */
type Versions<E> = { event: E; at: number }[];

/**
 * Sends clean events the way real sources do. Its stream is its own, so that other rates give the same world. With `finalAt`
 * it sends what stands at that instant instead: the last version of each event that was sent before, once, unless withdrawn.
 */
export class Noise {
  readonly #finalAt: number | null;
  readonly #rates: Rates;
  readonly #random: Random;
  readonly #send: (emission: Emission) => void;
  readonly #sendFinal: (emission: Emission) => void;
  readonly #spareCallId: () => string;

  constructor(o: {
    rates: Rates;
    random: Random;
    send: (emission: Emission) => void;
    spareCallId: () => string;
    finalAt: number | null;
  }) {
    this.#rates = o.rates;
    this.#random = o.random;
    this.#finalAt = o.finalAt;
    this.#send = o.finalAt === null ? o.send : () => undefined;
    this.#sendFinal = o.send;
    this.#spareCallId = o.spareCallId;
  }

  journey(event: DigitalJourneyEvent): void {
    const random = this.#random;
    const at = this.#sendingTime(event.timestamp ?? 0);
    event.emitted_at = at;
    const versions: Versions<DigitalJourneyEvent> = [{ event, at }];
    this.#copies({ source: 'journeys', event, at, damage: null, truth: null });
    if (event.action === 'page_view' && random.chance(this.#rates.deletions)) {
      const withdrawn = this.#after(at);
      const version = { ...event, revision: 1, deleted: true, emitted_at: withdrawn };
      versions.push({ event: version, at: withdrawn });
      this.#copies({ source: 'journeys', event: version, at: withdrawn, damage: null, truth: null });
    }
    if (random.chance((this.#rates.malformed * 4) / KINDS)) this.#malformedJourney(event, at);
    const final = this.#final(versions);
    if (final !== null) {
      const last = { source: 'journeys', event: final, at: event.timestamp ?? at, damage: null, truth: null } as const;
      this.#sendFinal(last);
    }
  }

  /** `correct` gives the fields that a correction changes. */
  call(event: CallLog, truth: TruthCall, correct: () => Partial<CallLog>): void {
    const random = this.#random;
    this.#spoilFields(event);
    // A call is reported when it has ended.
    const at = this.#sendingTime((event.call_timestamp ?? 0) + Math.max(0, event.handle_time_seconds ?? 0) * 1000);
    event.emitted_at = at;
    let last = { ...event };
    const revisions: CallLog[] = [];
    if (random.chance(this.#rates.corrections)) {
      last = { ...last, ...correct(), revision: 1 };
      revisions.push(last);
    }
    if (random.chance(this.#rates.deletions)) {
      revisions.push({ ...last, revision: last.revision + 1, deleted: true });
      truth.leakage = false;
      truth.kind = 'withdrawn';
    }
    truth.revisions = revisions.length;
    this.#copies({ source: 'calls', event, at, damage: null, truth });
    let sent = at;
    const versions: Versions<CallLog> = [{ event, at }];
    for (const revision of revisions) {
      sent = this.#after(sent);
      revision.emitted_at = sent;
      versions.push({ event: revision, at: sent });
      this.#copies({ source: 'calls', event: revision, at: sent, damage: null, truth: null });
    }
    if (random.chance((this.#rates.malformed * 3) / KINDS)) this.#malformedCall(event, at);
    const final = this.#final(versions);
    if (final !== null) {
      this.#sendFinal({ source: 'calls', event: final, at: event.call_timestamp ?? at, damage: null, truth });
    }
  }

  profile(event: MemberProfile, at: number): void {
    event.emitted_at = at;
    this.#copies({ source: 'members', event, at, damage: null, truth: null });
    if (this.#finalAt !== null && at <= this.#finalAt) {
      this.#sendFinal({ source: 'members', event, at, damage: null, truth: null });
    }
  }

  /** What stands of an event in the end; null where nothing was sent in time, it was withdrawn, or all is sent as it comes. */
  #final<E extends { deleted: boolean }>(versions: Versions<E>): E | null {
    const { event = null } = versions.findLast(({ at }) => this.#finalAt !== null && at <= this.#finalAt) ?? {};
    return event?.deleted === true ? null : event;
  }

  #sendingTime(readyAt: number): number {
    const { late, lateWithinDay, lateBeyondTwoDays, jitterSeconds } = this.#rates;
    const at = readyAt + LATENCY_MS + this.#random.int(jitterSeconds * 1000 + 1);
    const which = this.#random.next();
    if (which < lateBeyondTwoDays) return at + this.#between(48 * HOUR_MS, 96 * HOUR_MS);
    if (which < lateBeyondTwoDays + lateWithinDay) return at + this.#between(30 * MINUTE_MS, 24 * HOUR_MS);
    if (which < lateBeyondTwoDays + lateWithinDay + late) return at + this.#between(MINUTE_MS, 30 * MINUTE_MS);
    return at;
  }

  #after(at: number): number {
    return at + this.#between(5 * MINUTE_MS, 60 * MINUTE_MS);
  }

  #between(from: number, to: number): number {
    return Math.floor(this.#random.between(from, to));
  }

  #copies(emission: Emission): void {
    this.#send(emission);
    if (this.#random.chance(this.#rates.duplicates)) this.#send({ ...emission, truth: null });
    if (this.#random.chance(this.#rates.resent)) {
      const at = emission.at + this.#between(HOUR_MS, 12 * HOUR_MS);
      // The union of three sources does not survive a spread of its event.
      this.#send({ ...emission, event: { ...emission.event, emitted_at: at }, at, truth: null } as Emission);
    }
  }

  /** Damage that leaves the call in the world: silver empties the field and keeps the call. */
  #spoilFields(event: CallLog): void {
    const which = this.#random.next();
    const each = (this.#rates.malformed * RECORDS_PER_CALL) / KINDS;
    if (which < each) event.sentiment_score = 1.7;
    else if (which < 2 * each) event.handle_time_seconds = -1 - this.#random.int(600);
  }

  /** Records that silver quarantines are not part of the world: copies under ids of their own. */
  #malformedJourney(clean: DigitalJourneyEvent, at: number): void {
    const random = this.#random;
    const event = { ...clean, event_id: uuid7(clean.timestamp ?? at, () => random.uint32()) };
    let damage: Damage | null = null;
    switch (random.int(4)) {
      case 0:
        event.member_id = null;
        break;
      case 1:
        event.timestamp = this.#badInstant(at);
        break;
      case 2:
        event.journey_type = random.pick(['biling', 'dental', 'unknown']);
        break;
      default:
        damage = this.#bytes();
    }
    this.#send({ source: 'journeys', event, at, damage, truth: null });
  }

  #malformedCall(clean: CallLog, at: number): void {
    const event = { ...clean, call_id: this.#spareCallId() };
    let damage: Damage | null = null;
    switch (this.#random.int(3)) {
      case 0:
        event.member_id = null;
        break;
      case 1:
        event.call_timestamp = this.#badInstant(at);
        break;
      default:
        damage = this.#bytes();
    }
    this.#send({ source: 'calls', event, at, damage, truth: null });
  }

  #badInstant(at: number): number | null {
    return this.#random.pick([null, 0, at + 3 * DAY_MS]);
  }

  #bytes(): Damage {
    if (this.#random.chance(0.5)) return { kind: 'cut', keep: this.#random.between(0.1, 0.9) };
    return { kind: 'noise', bytes: Array.from({ length: 4 + this.#random.int(40) }, () => this.#random.int(256)) };
  }
}
