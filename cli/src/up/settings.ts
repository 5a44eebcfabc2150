import { kafkaSettings, loadSettings, type SettingsOf, schemaSettings, setting } from '@leakage/runtime';

const spec = {
  kafkaBrokers: setting.list({
    env: 'KAFKA_BROKERS',
    pattern: /^(?:\[[0-9a-fA-F:]+\]|[^\s:,/]+):\d{1,5}$/,
    kind: 'a list of host:port, separated by commas',
    help: 'Kafka to use instead of one of our own.',
  }),
  databaseUrl: setting.url({
    env: 'DATABASE_URL',
    secret: true,
    protocols: ['postgres', 'postgresql'],
    help: 'Postgres 18 to use instead of one of our own.',
  }),
  topicPrefix: kafkaSettings.topicPrefix,
  goldSchema: schemaSettings.goldSchema,
  apiHost: setting.string({ env: 'API_HOST', default: '127.0.0.1', help: 'Address on which the api listens.' }),
  apiPort: setting.integer({
    env: 'API_PORT',
    default: 8080,
    min: 0,
    max: 65_535,
    help: 'Port on which the api listens; another one is taken when it is not free.',
  }),
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
