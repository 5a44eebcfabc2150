import { createLogger } from '@leakage/runtime';
import { changes, contracts } from '@leakage/schemas';
import { call, journey, profile, startTestRegistry, type TestRegistry } from '@leakage/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openChangesEncoder, openEncoders } from './encoders.ts';

const log = createLogger({ service: 'registry-test', level: 'silent' });
let registry: TestRegistry;
beforeEach(async () => {
  registry = await startTestRegistry();
});
afterEach(async () => await registry.stop());

const idOf = (value: Buffer) => value.readInt32BE(1);

test('without a registry values have the ids of the contracts, by version', async () => {
  const plain = { url: undefined, register: false, topicPrefix: 'p', log };
  const [newest, older] = [await openEncoders(plain), await openEncoders({ ...plain, versions: { journeys: 1 } })];
  expect(
    [newest.journeys.encode(journey()), older.journeys.encode(journey()), older.calls.encode(call())].map(idOf),
  ).toEqual([5, 1, 2]);
  expect(newest.members.encode(profile())).toEqual(contracts.members.encode(profile({})));
});

test('with one, schemas are registered where that is allowed, under subjects named after topics', async () => {
  const o = { url: registry.url, register: true, topicPrefix: 'p', log };
  const older = await openEncoders({ ...o, versions: { journeys: 1 } });
  const newer = await openEncoders(o);
  const ids = [
    older.journeys.encode(journey()),
    newer.journeys.encode(journey()),
    newer.calls.encode(call()),
    newer.members.encode(profile()),
  ].map(idOf);
  expect(new Set(ids).size).toBe(4);
  expect(Math.min(...ids)).toBeGreaterThan(1_000);
  expect(['p.journeys-value', 'p.calls-value', 'p.members-value'].map((one) => registry.versionsOf(one))).toEqual([
    [1, 2],
    [1],
    [1],
  ]);
  const again = await openEncoders({ ...o, register: false });
  expect(idOf(again.journeys.encode(journey()))).toBe(ids[1]);
});

test('where it is not allowed, a sentence says which is missing, and nothing is registered', async () => {
  await expect(openEncoders({ url: registry.url, register: false, topicPrefix: 'p', log })).rejects.toThrow(
    /^version 2 of the schema of journeys is not registered under p.journeys-value at http:\/\/127.0.0.1:\d+: register DigitalJourneyEvent there, or set SCHEMA_REGISTRY_REGISTER=true/,
  );
  expect(registry.versionsOf('p.journeys-value')).toEqual([]);
});

test('so has the change stream: the id of the table, that of the registry, or a sentence', async () => {
  const change = { generation: 1, shard: 0, seq: 7, call_id: 'C', before: null, after: null, cause: null };
  const o = { url: registry.url, register: false, topicPrefix: 'p', log };
  expect(idOf((await openChangesEncoder({ ...o, url: undefined })).encode(change))).toBe(changes.schemaId);
  await expect(openChangesEncoder(o)).rejects.toThrow(
    /^version 1 of the schema of changes is not registered under p.changes-value at .*: register LeakageChange there/,
  );
  const registered = idOf((await openChangesEncoder({ ...o, register: true })).encode(change));
  expect(registered).toBeGreaterThan(1_000);
  expect(registry.versionsOf('p.changes-value')).toEqual([1]);
  expect(idOf((await openChangesEncoder(o)).encode(change))).toBe(registered);
});

test('a registry that comes late is waited for', async () => {
  await registry.fail('closed');
  setTimeout(() => void registry.resume(), 500);
  const o = { url: registry.url, register: true, topicPrefix: 'p', sources: ['calls'] as const, log };
  expect(idOf((await openEncoders(o)).calls.encode(call()))).toBe(1_001);
});

test('a version that does not exist is refused', async () => {
  const o = { url: undefined, register: false, topicPrefix: 'p', versions: { journeys: 3 }, log };
  await expect(openEncoders(o)).rejects.toThrow('the contract of journeys has no version 3');
});
