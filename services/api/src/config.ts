import { databaseSettings, kafkaSettings, type SettingsOf, schemaSettings, setting } from '@leakage/runtime';

export const settings = {
  ...databaseSettings,
  ...kafkaSettings,
  silverSchema: schemaSettings.silverSchema,
  goldSchema: schemaSettings.goldSchema,
  apiHost: setting.string({
    env: 'API_HOST',
    default: '127.0.0.1',
    help: 'Address on which the api listens. Single members are shown on loopback only, whatever this says.',
  }),
  apiPort: setting.integer({
    env: 'API_PORT',
    default: 8080,
    min: 0,
    max: 65_535,
    help: 'Port on which the api listens; 0 takes any free port.',
  }),
  pseudonymKey: setting.string({
    env: 'PSEUDONYM_KEY',
    secret: true,
    valid: (text) => text.length >= 32,
    kind: 'a text of at least 32 characters',
    help: 'Key of the hash that stands for a member in the audit; without it, one is made and kept in LEAKAGE_DATA_DIR/pseudonym.key.',
  }),
};

export type Settings = SettingsOf<typeof settings>;
