import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { contracts } from './contracts.ts';

const golden = (file: string): Buffer => readFileSync(new URL(`../golden/${file}`, import.meta.url));

// Bytes that producers out there already send: they must decode for ever, and as long as the version is 1 we write the same.
test.each(['journeys', 'calls', 'members'] as const)('golden bytes of %s, both forms', (source) => {
  const contract = contracts[source];
  const [avro, json] = [contract.decode(golden(`${source}-v1.bin`)), contract.decode(golden(`${source}-v1.json`))];
  expect(avro.ok && json.ok).toBe(true);
  expect(avro.event).toEqual(json.event);
  expect(avro.schemaId).toBe(contract.schemaId);
  expect(Object.values(avro.event ?? {}).every((value) => value !== null)).toBe(true);
});

test('the same events are written as the same bytes', () => {
  const { journeys, calls, members } = contracts;
  const [j, c, m] = [
    journeys.decode(golden('journeys-v1.json')),
    calls.decode(golden('calls-v1.json')),
    members.decode(golden('members-v1.json')),
  ];
  if (!j.ok || !c.ok || !m.ok) throw new Error('a golden file does not decode');
  expect(journeys.encode(j.event)).toEqual(golden('journeys-v1.bin'));
  expect(calls.encode(c.event)).toEqual(golden('calls-v1.bin'));
  expect(members.encode(m.event)).toEqual(golden('members-v1.bin'));
});
