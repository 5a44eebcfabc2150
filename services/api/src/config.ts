import {
  apiSettings,
  databaseSettings,
  kafkaSettings,
  type SettingsOf,
  schemaSettings,
  setting,
} from '@leakage/runtime';

export const settings = {
  ...databaseSettings,
  ...kafkaSettings,
  silverSchema: schemaSettings.silverSchema,
  goldSchema: schemaSettings.goldSchema,
  ...apiSettings,
  pseudonymKey: setting.string({
    env: 'PSEUDONYM_KEY',
    secret: true,
    valid: (text) => text.length >= 32,
    kind: 'a text of at least 32 characters',
    help: 'Key of the hash that stands for a member in the audit; without it, one is made and kept in LEAKAGE_DATA_DIR/pseudonym.key.',
  }),
};

export type Settings = SettingsOf<typeof settings>;

export const metricsPort = 9105;
