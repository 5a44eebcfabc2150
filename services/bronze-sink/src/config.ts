import {
  consumerSettings,
  databaseSettings,
  pseudonymKeySettings,
  registryReaderSettings,
  replaySettings,
  type SettingsOf,
  schemaSettings,
  setting,
} from '@leakage/runtime';

export const settings = {
  ...databaseSettings,
  ...consumerSettings,
  ...registryReaderSettings,
  bronzeSchema: schemaSettings.bronzeSchema,
  ...replaySettings,
  ...pseudonymKeySettings,
  batchRecordsMax: setting.integer({
    env: 'BRONZE_BATCH_RECORDS',
    default: 10_000,
    min: 1,
    max: 100_000,
    help: 'Records that one transaction of bronze takes at most.',
  }),
  lingerMs: setting.integer({
    env: 'BRONZE_LINGER_MS',
    default: 0,
    min: 0,
    max: 10_000,
    help: 'How long a batch of bronze that is not full waits for more: fewer, larger transactions for a later archive.',
  }),
};

export type BronzeSettings = SettingsOf<typeof settings>;

export const metricsPort = 9101;
