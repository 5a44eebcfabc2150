import { kafkaClientOptions } from '@leakage/kafka';
import { readAddress, withAbsolutePaths } from '@leakage/postgres';
import {
  apiSettings,
  databaseSettings,
  type Environment,
  kafkaConnectionSettings,
  kafkaSettings,
  loadSettings,
  optional,
  SettingsError,
  type SettingsOf,
  schemaSettings,
  setting,
  settingsSet,
  settingsText,
} from '@leakage/runtime';
import { durationKind, parseDuration } from '../duration.ts';

const off = 'off';

/** What `leakage up` reads for itself alone. */
export const upOnlySettings = {
  verifyEvery: setting.string({
    env: 'VERIFY_EVERY',
    default: '6h',
    valid: (text) => text === off || parseDuration(text) !== null,
    kind: `${durationKind}; or ${off}`,
    help: 'How often the last days are verified while everything runs; once a day everything is.',
  }),
};

/** Null: never. */
export const verifyEveryMs = ({ verifyEvery }: SettingsOf<typeof upOnlySettings>): number | null =>
  parseDuration(verifyEvery);

const { kafkaBrokers, ...howToConnect } = kafkaConnectionSettings;
const spec = {
  kafkaBrokers: optional(kafkaBrokers),
  ...howToConnect,
  databaseUrl: optional(databaseSettings.databaseUrl),
  topicPrefix: kafkaSettings.topicPrefix,
  goldSchema: schemaSettings.goldSchema,
  ...apiSettings,
  ...upOnlySettings,
};

export type UpSettings = SettingsOf<typeof spec>;

/** From the environment alone: the file in the data folder holds the addresses of an earlier start, which may be over. */
export function loadUpSettings(env: Environment = process.env): UpSettings {
  const settings = loadSettings(spec, env);
  const { kafkaBrokers: brokers, databaseUrl: url } = settings;
  if (brokers === undefined) refuseUseless([...settingsSet(howToConnect, env)]);
  else kafkaClientOptions({ ...settings, kafkaBrokers: brokers });
  if (url === undefined) return settings;
  readAddress(url);
  return { ...settings, databaseUrl: withAbsolutePaths(url) };
}

function refuseUseless(names: readonly string[]): void {
  if (names.length === 0) return;
  throw new SettingsError([
    `${names.join(', ')} ${names.length === 1 ? 'belongs' : 'belong'} to a Kafka of yours, but KAFKA_BROKERS is not set: set it, or unset the other`,
  ]);
}

/** How to connect to the Kafka at these addresses, as variables: whatever the working directory, and with its secrets. */
export function kafkaEnvironment(settings: UpSettings, brokers: string): Record<string, string> {
  return { KAFKA_BROKERS: brokers, ...settingsText(howToConnect, settings) };
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
