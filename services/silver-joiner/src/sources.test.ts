import { expect, test } from 'vitest';
import { compareContent, journeyContent } from './domain/identity.ts';
import type { JourneyEvent } from './domain/types.ts';
import { JOURNEYS } from './sources.ts';

const event: JourneyEvent = {
  event_id: 'e',
  member_id: 'm',
  session_id: 's',
  timestamp: 0,
  journey_type: 'billing',
  action: 'error',
  device_type: 'mobile',
  error_code: 'E',
  error_message: 'text',
  revision: 0,
  deleted: false,
  emitted_at: 1,
  app_version: '7.14.2',
};

test('the content of a journey event is everything but its revision and when it was sent, by name', () => {
  const names = JOURNEYS.columns.map(({ name }) => name);
  const other = ['event_day', 'revision', 'emitted_at'];
  expect(JOURNEYS.contentNames).toEqual(names.filter((name) => !other.includes(name)));
  const texts = JOURNEYS.contentNames.map((name) => String(event[name as keyof JourneyEvent]));
  expect(journeyContent(event)).toEqual(texts);
  // In SQL the key is left out: it is equal wherever contents are compared.
  for (const name of JOURNEYS.contentNames.slice(1))
    expect(JOURNEYS.contentSql('t')).toMatch(new RegExp(`t\\."?${name}`));
});

test('copies that name another version of the app are others; one that names none is the greatest', () => {
  const contents = ['7.9.0', '7.14.2', null].map((app_version) => journeyContent({ ...event, app_version }));
  expect(contents.toSorted(compareContent).map((content) => content.at(-1))).toEqual(['7.14.2', '7.9.0', null]);
});
