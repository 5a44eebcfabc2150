import { dateText, monthsBefore } from './calendar.ts';
import { CATEGORIES, type Category, LANGUAGES, type Language, type Parameters } from './parameters.ts';
import { Random } from './random.ts';

export interface Member {
  id: string;
  category: Category;
  segment: 'new' | 'tenured';
  language: Language;
  tenureMonths: number;
}

const FIRST_MEMBER_NUMBER = 100_000;

/** The member with a number: drawn alone, so that nothing about members is kept but who is in which cohort. */
export function memberOf(p: Parameters['members'], seed: number, index: number): Member {
  const random = new Random(seed, 'member', index);
  const category = random.weighted(p.categories);
  const isNew = category === 'MAPD New' || (category === 'Commercial' && random.chance(p.commercialNew));
  const longest = category === 'Commercial' ? 84 : 120;
  return {
    id: `M-${FIRST_MEMBER_NUMBER + index}`,
    category,
    segment: isNew ? 'new' : 'tenured',
    language: languageOf(p, random, isNew),
    tenureMonths: isNew ? 1 + random.int(12) : 13 + random.int(longest - 12),
  };
}

export function languageOf(p: Parameters['members'], random: Random, isNew: boolean): Language {
  const spanish = isNew ? p.spanish.new : p.spanish.tenured;
  return random.weighted([
    ['Spanish', spanish],
    ['Other', p.otherLanguage],
    ['English', 1 - spanish - p.otherLanguage],
  ]);
}

export function planOf(category: Category): 'MAPD' | 'Commercial' {
  return category === 'Commercial' ? 'Commercial' : 'MAPD';
}

/** `enrollment` of a member that has been one for `tenureMonths` on a day. */
export function enrollmentDate(member: Member, day: number): string {
  return dateText(monthsBefore(day, member.tenureMonths));
}

interface Change {
  category?: Category;
  language?: Language;
}

/** Who belongs to which cohort, now: numbers, and those who have changed, so that 400,000 members are a few megabytes. */
export class Roster {
  readonly #p: Parameters['members'];
  readonly #seed: number;
  readonly size: number;
  readonly #cohorts = new Map<string, number[]>();
  /** Of each member the place in the list of its cohort. */
  readonly #places: Int32Array;
  readonly #changed = new Map<number, Change>();

  constructor(p: Parameters['members'], seed: number, size: number) {
    this.#p = p;
    this.#seed = seed;
    this.size = size;
    this.#places = new Int32Array(size);
    for (let index = 0; index < size; index++) this.#join(index, memberOf(p, seed, index));
  }

  member(index: number): Member {
    return { ...memberOf(this.#p, this.#seed, index), ...this.#changed.get(index) };
  }

  /** From now on a member is another: of another plan, or of another language. */
  change(index: number, change: Change): Member {
    this.#leave(index, this.member(index));
    this.#changed.set(index, { ...this.#changed.get(index), ...change });
    const changed = this.member(index);
    this.#join(index, changed);
    return changed;
  }

  count(category: Category, language: Language): number {
    return this.#cohort(category, language).length;
  }

  /** How many members a category or a language has. */
  total(of: { category?: Category; language?: Language }): number {
    let total = 0;
    for (const category of CATEGORIES) {
      for (const language of LANGUAGES) {
        if ((of.category ?? category) === category && (of.language ?? language) === language)
          total += this.count(category, language);
      }
    }
    return total;
  }

  anyone(random: Random): Member {
    return this.member(random.int(this.size));
  }

  /** A member of a cohort; anybody where its last one has left it. */
  someone(random: Random, category: Category, language: Language): Member {
    const cohort = this.#cohort(category, language);
    const index = cohort[random.int(cohort.length)];
    return index === undefined ? this.anyone(random) : this.member(index);
  }

  #cohort(category: Category, language: Language): number[] {
    const key = `${category}/${language}`;
    const cohort = this.#cohorts.get(key) ?? [];
    if (cohort.length === 0) this.#cohorts.set(key, cohort);
    return cohort;
  }

  #join(index: number, { category, language }: Member): void {
    this.#places[index] = this.#cohort(category, language).push(index) - 1;
  }

  /** The last of the list takes its place. */
  #leave(index: number, { category, language }: Member): void {
    const cohort = this.#cohort(category, language);
    const last = cohort.pop();
    if (last === undefined || last === index) return;
    const place = this.#places[index] ?? 0;
    cohort[place] = last;
    this.#places[last] = place;
  }
}
