import { readdirSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, test } from 'vitest';
import { readSchema, SCHEMA_FILES } from '../scripts/generate.ts';
import { contracts } from './contracts.ts';
import type { AvroRecord } from './shape.ts';

/** Every version of every contract, as it stands in the files. */
function versionsInFiles(): Map<string, { version: number; schema: AvroRecord }[]> {
  const found = readdirSync(new URL('../avro/', import.meta.url)).map((file) => {
    const [, name = '', version = ''] = /^(\w+)\.v(\d+)\.avsc$/.exec(file) ?? [];
    return { name, version: Number(version), schema: readSchema(file) as AvroRecord };
  });
  const byName = Map.groupBy(found, ({ name }) => name);
  for (const versions of byName.values()) versions.sort((a, b) => a.version - b.version);
  return byName;
}

/** Why records of `writer` cannot be read as `reader`'s by the rules of Avro; null: they can. */
function unreadable(reader: AvroRecord, writer: AvroRecord): string | null {
  const typeOf = (schema: AvroRecord) => avsc.Type.forSchema(schema as unknown as avsc.schema.RecordType);
  try {
    typeOf(reader).createResolver(typeOf(writer));
    return null;
  } catch (error) {
    return `${reader.name} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/**
 * What is wrong with a later version. Avro takes a renamed field with a default for one that was dropped and another that
 * was added: all its values would be lost without an error. So fields are never renamed, moved or changed, only added.
 */
function faults(older: AvroRecord, newer: AvroRecord): string[] {
  const changed = older.fields.flatMap((field, i) => {
    const [a, b] = [field, newer.fields[i]].map((one) => JSON.stringify([one?.name, one?.type, one?.default]));
    return a === b ? [] : [`field ${i + 1}, ${field.name}, was renamed, moved or changed`];
  });
  const named = older.name === newer.name ? [] : ['the record was renamed'];
  return [...named, ...changed, unreadable(newer, older), unreadable(older, newer)].filter((fault) => fault !== null);
}

const all = versionsInFiles();

describe('FULL_TRANSITIVE: every version reads every other one', () => {
  test('every file is a version, none is missing, and the code knows them all', () => {
    for (const versions of all.values())
      expect(versions.map(({ version }) => version)).toEqual(versions.map((_, i) => i + 1));
    expect(Object.values(SCHEMA_FILES).sort()).toEqual(readdirSync(new URL('../avro/', import.meta.url)).sort());
    for (const { versions } of Object.values(contracts)) {
      const name = versions[0]?.schema.name;
      const inFiles = [...all.values()].find((found) => found[0]?.schema.name === name);
      expect(versions.map(({ version, schema }) => [version, schema])).toEqual(
        inFiles?.map(({ version, schema }) => [version, schema]),
      );
    }
  });

  test.each([...all])('%s', (_name, versions) => {
    for (const [i, newer] of versions.entries()) {
      for (const older of versions.slice(0, i + 1)) expect(faults(older.schema, newer.schema)).toEqual([]);
    }
  });
});

describe('a version that breaks the rule is told', () => {
  const v1 = all.get('digital_journey_event')?.[0]?.schema as AvroRecord;
  const text = ['null', 'string'];
  const added = (field: object): AvroRecord => ({ ...v1, fields: [...v1.fields, field as AvroRecord['fields'][0]] });
  const with_ = (name: string, change: object): AvroRecord => ({
    ...v1,
    fields: v1.fields.map((field) => (field.name === name ? { ...field, ...change } : field)),
  });

  test.each<[string, AvroRecord, string[]]>([
    ['nothing', v1, []],
    ['a field with a default', added({ name: 'note', type: text, default: null }), []],
    ['a field without default', added({ name: 'note', type: text }), [expect.stringMatching(/cannot be read/)]],
    [
      'a renamed field',
      with_('session_id', { name: 'session' }),
      ['field 3, session_id, was renamed, moved or changed'],
    ],
    [
      'a field of another type',
      with_('session_id', { type: ['null', 'int'] }),
      expect.arrayContaining([expect.stringMatching(/cannot be read/)]),
    ],
    [
      'a field in front',
      { ...v1, fields: [{ name: 'note', type: text, default: null }, ...v1.fields] },
      expect.arrayContaining(['field 1, event_id, was renamed, moved or changed']),
    ],
    [
      'a dropped field',
      { ...v1, fields: v1.fields.slice(0, -1) },
      ['field 12, emitted_at, was renamed, moved or changed'],
    ],
    ['a new name', { ...v1, name: 'JourneyEvent' }, expect.arrayContaining(['the record was renamed'])],
  ])('%s', (_what, newer, told) => {
    expect(faults(v1, newer)).toEqual(told);
  });
});
