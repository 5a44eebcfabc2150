import { expect, test } from 'vitest';
import { parametersWith } from './overrides.ts';
import { cellParameters, DEFAULT_PARAMETERS } from './parameters.ts';

const why = (overrides: unknown): string => {
  try {
    parametersWith(overrides);
  } catch (error) {
    return error instanceof RangeError ? error.message : 'another error';
  }
  return 'accepted';
};

test('nothing given is the default', () => {
  expect(parametersWith({})).toEqual(DEFAULT_PARAMETERS);
});

test('what is given replaces what it names, lists as a whole, and nothing else', () => {
  const p = parametersWith({
    trends: { billing: 0.2 },
    issues: {
      id_card: { devices: [['desktop', 1]], handleSeconds: { 'MAPD New': 600 } },
      pharmacy: { categories: null },
    },
    idCardSpanish: null,
  });
  expect(p.trends).toEqual({ ...DEFAULT_PARAMETERS.trends, billing: 0.2 });
  expect(p.issues.id_card).toEqual({
    ...DEFAULT_PARAMETERS.issues.id_card,
    devices: [['desktop', 1]],
    handleSeconds: { ...DEFAULT_PARAMETERS.issues.id_card.handleSeconds, 'MAPD New': 600 },
  });
  expect([p.issues.pharmacy.categories, p.idCardSpanish]).toEqual([null, null]);
  expect(p.issues.eligibility).toEqual(DEFAULT_PARAMETERS.issues.eligibility);
});

test.each([
  ['a list', [], 'the file must be an object'],
  ['an unknown name', { trend: {} }, 'trend is no parameter (there are members, time, trends'],
  ['an unknown name inside', { trends: { bill: 1 } }, 'trends.bill is no parameter (there are billing'],
  ['a name of every object', { constructor: 1 }, 'constructor is no parameter'],
  [
    'what others rely on',
    { issues: { id_card: { journeyType: 'dental' } } },
    'issues.id_card.journeyType must be left as it is',
  ],
  ['a text for a number', { trends: { billing: '0.2' } }, 'trends.billing must be a number from -0.9 to 10'],
  ['a share above 1', { journeys: { undecided: 2 } }, 'journeys.undecided must be a number from 0 to 1'],
  [
    'a repeat target above 1',
    { repeats: { targets: { billing: { 'MAPD New': 28 } } } },
    'must be a number from 0 to 1',
  ],
  ['null where something is needed', { calls: null }, 'calls must be given or left out'],
  ['weights that are none', { issues: { id_card: { codes: [['A', 0]] } } }, 'whose weights are not all 0'],
  ['a category that is none', { members: { categories: [['Gold', 1]] } }, 'members.categories must be about MAPD New'],
  ['a day of 23 hours', { time: { hours: Array(23).fill(4) } }, 'time.hours must be 24 numbers'],
  ['hours that are no whole', { time: { hours: Array(24).fill(4) } }, 'time.hours must add up to 100'],
  ['weekdays above the mean', { time: { weekdays: Array(7).fill(2) } }, 'time.weekdays must have a mean of 1'],
  ['a cell with an unknown field', { cells: [{ isue: 'id_card' }] }, 'cells[0].isue is no parameter of a cell'],
  ['a cell of nobody', { cells: [{ language: 'French' }] }, 'cells[0].language must be one of English'],
  ['more than all failures', { issues: { pharmacy: { abandonOnly: 0.9 } } }, 'issues.pharmacy: abandonOnly and'],
  ['no room after failures', { issues: { pharmacy: { leakRate: 0.95 } } }, 'issues.pharmacy.leakRate leaves no room'],
])('%s is refused with the reason', (_, overrides, reason) => {
  expect(why(overrides)).toContain(reason);
});

test('all problems are named at once', () => {
  expect(why({ trends: { billing: 'x' }, calls: { agents: -1 } })).toMatch(/trends\.billing .*; calls\.agents /);
});

test('a cell is its issue with what is said about it, the later words winning', () => {
  const p = parametersWith({
    cells: [
      { category: 'MAPD New', failures: 2, sentiment: -0.9 },
      { issue: 'pharmacy', category: 'MAPD New', failures: 3, devices: [['tablet', 1]] },
    ],
  });
  const cell = (issue: 'pharmacy' | 'id_card', category: 'MAPD New' | 'Commercial') =>
    cellParameters(p, { issue, category, language: 'English' });
  expect(cell('pharmacy', 'MAPD New')).toMatchObject({ failures: 3, repeats: 1, devices: [['tablet', 1]] });
  expect(cell('pharmacy', 'MAPD New').sentiment).toEqual({
    'MAPD New': -0.9,
    'MAPD Tenured': -0.05,
    Commercial: -0.05,
  });
  expect(cell('id_card', 'MAPD New').failures).toBe(2);
  expect(cell('id_card', 'Commercial')).toEqual({ ...p.issues.id_card, failures: 1, repeats: 1 });
});
