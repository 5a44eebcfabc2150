import type { RuleDifference, StoredRules } from './types.ts';

/** Words of two reason tables that are shown; more are only counted. */
const wordsMax = 40;

/** Which rules the two do not share, in words. A reason table gives one entry for each word that it takes otherwise. */
export function rulesThatDiffer(a: StoredRules, b: StoredRules): RuleDifference[] {
  const minutes = (rules: StoredRules) => `${rules.windowMs / 60_000} minutes`;
  const differing: RuleDifference[] = [];
  const compare = (rule: string, ofA: string, ofB: string) => {
    if (ofA !== ofB) differing.push({ rule, a: ofA, b: ofB });
  };
  compare('window', minutes(a), minutes(b));
  compare('time zone', a.timeZone, b.timeZone);
  compare('repeat scope', a.repeatScope, b.repeatScope);
  compare('version of the rules', String(a.rulesVersion), String(b.rulesVersion));
  const words = wordsThatDiffer(a.reasons, b.reasons);
  if (words.length <= wordsMax) return [...differing, ...words];
  const rest = words.length - wordsMax;
  return [...differing, ...words.slice(0, wordsMax), { rule: `reason table: ${rest} more words`, a: '', b: '' }];
}

function wordsThatDiffer(a: StoredRules['reasons'], b: StoredRules['reasons']): RuleDifference[] {
  const typesOf = (table: StoredRules['reasons']) =>
    Object.fromEntries(table.journeyTypes.map((type) => [type, 'a journey type']));
  return [
    ...entriesThatDiffer('journey type', typesOf(a), typesOf(b)),
    ...entriesThatDiffer('reason', a.reasons, b.reasons),
    ...entriesThatDiffer('token', a.tokens, b.tokens),
  ];
}

function entriesThatDiffer(
  what: string,
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): RuleDifference[] {
  const ofA = new Map(Object.entries(a));
  const ofB = new Map(Object.entries(b));
  const words = [...new Set([...ofA.keys(), ...ofB.keys()])].sort();
  return words
    .filter((word) => ofA.get(word) !== ofB.get(word))
    .map((word) => ({
      rule: `${what} ${word}`,
      a: ofA.get(word) ?? 'not listed',
      b: ofB.get(word) ?? 'not listed',
    }));
}
