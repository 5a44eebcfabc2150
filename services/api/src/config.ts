import {
  apiSettings,
  databaseSettings,
  kafkaSettings,
  pseudonymKeySettings,
  type SettingsOf,
  schemaSettings,
} from '@leakage/runtime';

export const settings = {
  ...databaseSettings,
  ...kafkaSettings,
  silverSchema: schemaSettings.silverSchema,
  goldSchema: schemaSettings.goldSchema,
  ...apiSettings,
  ...pseudonymKeySettings,
};

export type Settings = SettingsOf<typeof settings>;

export const metricsPort = 9105;
