import type { Behind, Candidate } from './promotion-store.ts';

/** Why a generation does not become the active one, and what to do about it. Nothing was changed. */
export class PromotionRefusedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PromotionRefusedError';
  }
}

/** A verification speaks for so long. */
const VERIFIED_HOURS = 24;

/** Why a generation may not be promoted at all, in a sentence that says what to do; null: it may. */
export function neverPromoted({ id, state, purpose, ofPart, withoutViews }: Candidate): string | null {
  if (state === 'preparing') {
    return `Generation ${id} is being prepared: wait until it is building (npx leakage generations shows it).`;
  }
  if (state === 'active') return `Generation ${id} is the active one already.`;
  if (state === 'dropped')
    return `Generation ${id} was dropped, and its number is used up: rebuild it under a new one.`;
  if (ofPart) {
    return `Generation ${id} was made of a part of the records, which is compared and never promoted: rebuild it without --from and --to to get one that can be.`;
  }
  if (purpose === 'what_if') {
    return `Generation ${id} is a what-if, which is compared and never promoted: rebuild it without --what-if to get one that can be.`;
  }
  return lacksViews(id, withoutViews);
}

/** Why nobody can go back to a generation; null: one can. */
export function neverRolledBackTo({ id, state, withoutViews }: Candidate): string | null {
  if (state === 'dropped') {
    return `Generation ${id}, which the active one was promoted over, was dropped: there is no way back to it. npx leakage generations shows what there is to promote.`;
  }
  if (state !== 'retired') return `Generation ${id} is ${state}, not retired: there is no way back to it.`;
  return lacksViews(id, withoutViews);
}

function lacksViews(id: number, layers: readonly string[]): string | null {
  const [layer] = layers;
  if (layer === undefined) return null;
  return `Generation ${id} has no views in schema ${layer}_${id}, so nobody could read it: start its silver-joiner and its gold-aggregator (GENERATION=${id}) first.`;
}

/** Why a generation counts as not verified, with the command that mends it; null: it is verified. */
export function notVerified({ id, verified }: Candidate): string | null {
  const mend = `Verify it with npx leakage verify --generation ${id}`;
  if (verified === null) return `Generation ${id} has not been verified as a whole. ${mend}`;
  const { ok, hoursAgo, sinceCaughtUp } = verified;
  if (!ok)
    return `The newest verification of generation ${id} found differences. See them with npx leakage verify --generation ${id}`;
  if (!sinceCaughtUp) return `Generation ${id} was verified before it had caught up. ${mend}`;
  if (hoursAgo > VERIFIED_HOURS) {
    return `The newest verification of generation ${id} is ${Math.floor(hoursAgo)} hours old, and may be ${VERIFIED_HOURS}. ${mend}`;
  }
  return null;
}

/** Why promoting a generation would take figures from its readers; null: it would not. */
export function wouldLoseDays({ id, lacksOldDays }: Candidate): string | null {
  if (!lacksOldDays) return null;
  return `Generation ${id} was made after a retention run and has none of the days before the horizon, which gold of the active one still has. Build one with leakage rebuild in the same time zone, which takes them along`;
}

/** What is missing until a generation is nowhere behind, in words; null: nothing. */
export function behindWords({ records, changes, begun }: Behind): string | null {
  const count = (n: number, what: string) =>
    n === 0 ? [] : [`${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`];
  if (!begun) return [...count(records, 'record'), 'its gold has not begun'].join(', ');
  const words = [...count(records, 'record'), ...count(changes, 'change')];
  return words.length === 0 ? null : words.join(' and ');
}
