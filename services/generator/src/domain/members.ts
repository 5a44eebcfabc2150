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

/** Who belongs to which cohort: numbers only, so that 400,000 members are two megabytes. */
export class Roster {
  readonly #p: Parameters['members'];
  readonly #seed: number;
  readonly size: number;
  readonly #cohorts = new Map<string, Int32Array>();

  constructor(p: Parameters['members'], seed: number, size: number) {
    this.#p = p;
    this.#seed = seed;
    this.size = size;
    const lists = new Map<string, number[]>();
    for (let index = 0; index < size; index++) {
      const { category, language } = memberOf(p, seed, index);
      const key = cohortKey(category, language);
      const list = lists.get(key);
      if (list === undefined) lists.set(key, [index]);
      else list.push(index);
    }
    for (const [key, list] of lists) this.#cohorts.set(key, Int32Array.from(list));
  }

  member(index: number): Member {
    return memberOf(this.#p, this.#seed, index);
  }

  count(category: Category, language: Language): number {
    return this.#cohorts.get(cohortKey(category, language))?.length ?? 0;
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

  someone(random: Random, category: Category, language: Language): Member {
    const cohort = this.#cohorts.get(cohortKey(category, language));
    const index = cohort?.[random.int(cohort.length)];
    if (index === undefined) throw new Error(`there is no ${language} speaking ${category} member`);
    return this.member(index);
  }
}

function cohortKey(category: Category, language: Language): string {
  return `${category}/${language}`;
}
