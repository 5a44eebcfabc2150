import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { contracts } from './contracts.ts';
import type { DigitalJourneyEvent } from './events.ts';

const golden = (file: string): Buffer => readFileSync(new URL(`../golden/${file}`, import.meta.url));

const CASES = Object.values(contracts).flatMap(({ source, versions }) =>
  versions.map(({ version, id }) => ({ source, version, id, name: `${source}-v${version}` })),
);

// Bytes that producers out there already send: they decode for ever, and a version is written as it always was.
describe.each(CASES)('$name', ({ source, version, id, name }) => {
  const contract = contracts[source];
  const [avro, json] = [contract.decode(golden(`${name}.bin`)), contract.decode(golden(`${name}.json`))];

  test('golden bytes and golden JSON are the same event', () => {
    expect([avro.ok, json.ok]).toEqual([true, true]);
    expect(avro.event).toEqual(json.event);
    expect(avro.schemaId).toBe(id);
    const empty = Object.entries(avro.event ?? {}).filter(([, value]) => value === null);
    expect(empty.map(([field]) => field)).toEqual(name === 'journeys-v1' ? ['app_version'] : []);
  });

  test('the same event is written as the same bytes', () => {
    if (!json.ok) throw new Error('a golden file does not decode');
    expect(contract.encoder({ version, id }).encode(json.event as never)).toEqual(golden(`${name}.bin`));
  });
});

test('what is written without naming a version is of the newest', () => {
  const [v1, v2] = ['journeys-v1.json', 'journeys-v2.json'].map((file) => contracts.journeys.decode(golden(file)));
  if (!v1?.ok || !v2?.ok) throw new Error('a golden file does not decode');
  expect(contracts.journeys.encode(v2.event)).toEqual(golden('journeys-v2.bin'));
  expect(contracts.journeys.encode(v1.event).readInt32BE(1)).toBe(5);
});

test('a field that an older version does not have is left out, and nothing else', () => {
  const decoded = contracts.journeys.decode(golden('journeys-v2.bin'));
  const event = decoded.event as DigitalJourneyEvent;
  const old = contracts.journeys.encoder({ version: 1, id: 1 }).encode(event);
  expect(contracts.journeys.decode(old)).toMatchObject({ ok: true, event: { ...event, app_version: null } });
});
