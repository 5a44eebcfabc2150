import { describe, expect, test } from 'vitest';
import { readSchema, SCHEMA_FILES } from '../scripts/generate.ts';
import * as generated from './avro.generated.ts';
import { changes, contracts } from './contracts.ts';
import type { CallLog, DigitalJourneyEvent, LeakageChange, LeakageFact, MemberProfile } from './events.ts';
import { shapeOf } from './shape.ts';

// The TypeScript types that the Avro schemas stand for, computed by the compiler from the generated literals.
type Value<T> = T extends 'string'
  ? string
  : T extends 'int' | 'long' | 'double'
    ? number
    : T extends 'boolean'
      ? boolean
      : T extends { logicalType: 'timestamp-millis' }
        ? number
        : T extends { logicalType: 'date' }
          ? string
          : T extends { type: 'record' } | 'LeakageFact'
            ? LeakageFact
            : never;
type FieldValue<T> = T extends readonly ['null', infer U] ? Value<U> | null : Value<T>;
type EventOfSchema<S extends { fields: readonly { name: string; type: unknown }[] }> = {
  [F in S['fields'][number] as F['name']]: FieldValue<F['type']>;
};
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Flat<T> = { [K in keyof T]: T[K] };
type FactSchema = Extract<(typeof generated.leakageChangeV1)['fields'][number], { name: 'before' }>['type'][1];

// Each line stops compiling when a type and its schema part ways.
const agreement: {
  journeys: Equal<EventOfSchema<typeof generated.digitalJourneyEventV2>, Flat<DigitalJourneyEvent>>;
  calls: Equal<EventOfSchema<typeof generated.callLogV1>, Flat<CallLog>>;
  members: Equal<EventOfSchema<typeof generated.memberProfileV1>, Flat<MemberProfile>>;
  changes: Equal<EventOfSchema<typeof generated.leakageChangeV1>, Flat<LeakageChange>>;
  facts: Equal<EventOfSchema<FactSchema>, Flat<LeakageFact>>;
} = { journeys: true, calls: true, members: true, changes: true, facts: true };

describe('types and Avro schemas agree', () => {
  test('at compile time', () => {
    expect(Object.values(agreement)).toEqual([true, true, true, true, true]);
  });

  test('the generated literals are the schemas in the files', () => {
    const files = Object.entries(SCHEMA_FILES).map(([name, file]) => [name, readSchema(file)]);
    expect({ ...generated }).toEqual(Object.fromEntries(files));
  });

  test.each(Object.values(contracts).flatMap(({ versions }) => versions.map(({ schema }) => schema)))(
    'every field of $name but revision and deleted is nullable and null by default',
    (schema) => {
      for (const field of shapeOf(schema).fields) {
        const expected = { revision: 0, deleted: false }[field.name] ?? null;
        expect([field.name, field.nullable, field.fallback]).toEqual([field.name, expected === null, expected]);
      }
    },
  );

  test('the namespace is leakage and the ids are those that producers were told', () => {
    for (const schema of Object.values(generated)) expect(schema.namespace).toBe('leakage');
    const ids = Object.values(contracts).map(({ versions }) => versions.map(({ version, id }) => [version, id]));
    expect(ids).toEqual([
      [
        [1, 1],
        [2, 5],
      ],
      [[1, 2]],
      [[1, 3]],
    ]);
    expect(changes.schemaId).toBe(4);
  });
});
