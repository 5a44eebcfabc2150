import { resolve } from 'node:path';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { databaseSettings, kafkaSettings, schemaSettings, timeZoneSettings } from './common-settings.ts';
import {
  loadSettings,
  SettingsError,
  type SettingsOf,
  setting,
  settingRows,
  settingsHelp,
  settingsSet,
  settingsText,
  withoutPassword,
} from './settings.ts';

const spec = {
  window: setting.integer({ env: 'WINDOW', default: 30, min: 1, max: 1440, help: 'Minutes.' }),
  cost: setting.decimal({ env: 'COST', default: 8, min: 0, fractionDigits: 2, help: 'Dollars.' }),
  verbose: setting.boolean({ env: 'VERBOSE', default: false, help: 'More words.' }),
  scope: setting.choice(['same_issue', 'any_reason'], { env: 'SCOPE', default: 'same_issue', help: 'What repeats.' }),
  brokers: setting.list({
    env: 'BROKERS',
    required: true,
    pattern: /:\d+$/,
    kind: 'a list of host:port',
    help: 'Where.',
  }),
  table: setting.string({ env: 'TABLE', help: 'A file.' }),
  registry: setting.url({ env: 'REGISTRY', protocols: ['http', 'https'], help: 'Where.' }),
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadSettings(spec, env);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
}

describe('loading', () => {
  test('gives defaults where nothing is set, and undefined where there is no default', () => {
    const settings = loadSettings(spec, { BROKERS: 'a:1' });
    expect(settings).toEqual({
      window: 30,
      cost: 8,
      verbose: false,
      scope: 'same_issue',
      brokers: ['a:1'],
      table: undefined,
      registry: undefined,
    });
    expectTypeOf(settings.window).toEqualTypeOf<number>();
    expectTypeOf(settings.table).toEqualTypeOf<string | undefined>();
    expectTypeOf<SettingsOf<typeof spec>['scope']>().toEqualTypeOf<'same_issue' | 'any_reason'>();
  });

  test('a choice may be written in capitals, as others write it', () => {
    expect(loadSettings(spec, { BROKERS: 'a:1', SCOPE: 'ANY_REASON' }).scope).toBe('any_reason');
  });

  test('a file has an absolute path from then on', () => {
    const { file } = loadSettings({ file: setting.file({ env: 'FILE', help: 'A file.' }) }, { FILE: 'some/file' });
    expect(file).toBe(resolve('some/file'));
  });

  test('settings can be written down and read again', () => {
    const env = { BROKERS: 'a:1,b:2', VERBOSE: 'yes', COST: '7.5', WINDOW: '30' };
    const text = settingsText(spec, loadSettings(spec, env));
    expect(text).toEqual({ BROKERS: 'a:1,b:2', VERBOSE: 'true', COST: '7.5' });
    expect(loadSettings(spec, text)).toEqual(loadSettings(spec, env));
  });

  test('reads what is set, trimmed', () => {
    const env = {
      WINDOW: ' 45 ',
      COST: '7.5',
      VERBOSE: 'Yes',
      SCOPE: 'any_reason',
      BROKERS: 'a:1, b:2',
      TABLE: '/x',
      REGISTRY: 'http://r',
    };
    const expected = {
      window: 45,
      cost: 7.5,
      verbose: true,
      scope: 'any_reason',
      brokers: ['a:1', 'b:2'],
      table: '/x',
      registry: 'http://r',
    };
    expect(loadSettings(spec, env)).toEqual(expected);
  });

  test('reports every problem at once', () => {
    expect(
      problemsOf({ WINDOW: '0', COST: '1.234', VERBOSE: 'maybe', SCOPE: 'all', REGISTRY: 'ftp://me:pw@h' }),
    ).toEqual([
      'WINDOW must be an integer from 1 to 1440, not "0"',
      'COST must be a number of at least 0 with at most 2 decimals, not "1.234"',
      'VERBOSE must be true or false, not "maybe"',
      'SCOPE must be one of same_issue, any_reason, not "all"',
      'BROKERS is not set (Where.)',
      'REGISTRY must be a URL (http://... or https://...)',
    ]);
  });

  test.each(['1e3', '0x10', '1.0', '', '9007199254740993', '१'])('takes no odd integer: %s', (text) => {
    expect(problemsOf({ BROKERS: 'a:1', WINDOW: text })).toHaveLength(text === '' ? 0 : 1);
  });

  test.each(['1e3', 'NaN', 'Infinity', '.5', '1.', '-1'])('takes no odd number: %s', (text) => {
    expect(problemsOf({ BROKERS: 'a:1', COST: text })).toHaveLength(1);
  });

  test('an empty variable counts as not set', () => {
    expect(problemsOf({ BROKERS: '  ' })).toEqual(['BROKERS is not set (Where.)']);
    expect(loadSettings(spec, { BROKERS: 'a:1', WINDOW: '' }).window).toBe(30);
  });

  test('never shows the value of a secret or of a URL', () => {
    const secrets = {
      key: setting.string({ env: 'API_KEY', secret: true, pattern: /^[a-f]+$/, kind: 'hexadecimal', help: 'A key.' }),
      ...databaseSettings,
    };
    expect(() => loadSettings(secrets, { API_KEY: 'hunter2', DATABASE_URL: 'mysql://u:hunter2@h/d' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter2') as string }) as Error,
    );
  });

  test('refuses a name that a shell could not set', () => {
    expect(() => setting.string({ env: 'my-name', help: '' })).toThrow('not a usable name');
  });
});

test('settingsSet tells a wish from a default', () => {
  expect(settingsSet(spec, { WINDOW: '30', COST: ' ', OTHER: 'x' })).toEqual(new Set(['WINDOW']));
});

test('help and rows show kind, default and sentence of each variable', () => {
  expect(settingRows(spec).slice(0, 2)).toEqual([
    { env: 'WINDOW', kind: 'an integer from 1 to 1440', default: '30', help: 'Minutes.' },
    { env: 'COST', kind: 'a number of at least 0 with at most 2 decimals', default: '8', help: 'Dollars.' },
  ]);
  expect(settingsHelp({ brokers: spec.brokers, table: spec.table })).toBe(
    '  BROKERS  (a list of host:port; required)\n      Where.\n  TABLE  (text; default: not set)\n      A file.',
  );
});

test('a URL is shown without its password', () => {
  expect(withoutPassword('postgres://me:secret@host:5432/main?sslpassword=x')).toBe(
    'postgres://me:***@host:5432/main?sslpassword=***',
  );
  expect(withoutPassword('nonsense')).toBe('(not a URL)');
});

describe('what all services share', () => {
  const accepts = (env: Record<string, string>): boolean => {
    try {
      loadSettings(
        { ...kafkaSettings, ...databaseSettings, ...schemaSettings, ...timeZoneSettings },
        { KAFKA_BROKERS: 'k:9092', DATABASE_URL: 'postgres://h/main', ...env },
      );
      return true;
    } catch (error) {
      if (error instanceof SettingsError) return false;
      throw error;
    }
  };

  test.each(['127.0.0.1:9092', 'a.b-c:1, d:2', '[::1]:9092'])('brokers %s are accepted', (text) =>
    expect(accepts({ KAFKA_BROKERS: text })).toBe(true),
  );
  test.each(['localhost', 'http://h:9092', 'a:1,,b:2', 'a b:1'])('brokers %s are refused', (text) =>
    expect(accepts({ KAFKA_BROKERS: text })).toBe(false),
  );
  test('a schema name cannot carry SQL', () => expect(accepts({ GOLD_SCHEMA: 'gold"; drop' })).toBe(false));
  test('a time zone must exist', () => {
    expect(accepts({ TIME_ZONE: 'Europe/Berlin' })).toBe(true);
    expect(accepts({ TIME_ZONE: 'Mars/Olympus' })).toBe(false);
  });
});
