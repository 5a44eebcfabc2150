import {
  apiSettings,
  databaseSettings,
  kafkaSettings,
  loadSettings,
  optional,
  type SettingsOf,
  schemaSettings,
} from '@leakage/runtime';

const spec = {
  kafkaBrokers: optional(kafkaSettings.kafkaBrokers),
  databaseUrl: optional(databaseSettings.databaseUrl),
  topicPrefix: kafkaSettings.topicPrefix,
  goldSchema: schemaSettings.goldSchema,
  ...apiSettings,
};

export type UpSettings = SettingsOf<typeof spec>;

/** From the environment alone: the file in the data folder holds the addresses of an earlier start, which may be over. */
export function loadUpSettings(): UpSettings {
  return loadSettings(spec, process.env);
}

/** Those that tell another command where to look; `up` passes them on when somebody has set them. */
const passedOn = ['TOPIC_PREFIX', 'BRONZE_SCHEMA', 'SILVER_SCHEMA', 'GOLD_SCHEMA', 'TIME_ZONE', 'SCHEMA_REGISTRY_URL'];

export function passedOnSettings(): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = process.env[name]?.trim();
      return value ? [[name, value]] : [];
    }),
  );
}
