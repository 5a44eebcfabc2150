import { type SettingsOf, setting } from './settings.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What every service has. The port differs per service, so that all of them can run on one machine. */
export function commonSettings(defaults: { readonly metricsPort: number }) {
  return {
    logLevel: setting.choice(logLevels, { env: 'LOG_LEVEL', default: 'info', help: 'How much is logged.' }),
    metricsHost: setting.string({
      env: 'METRICS_HOST',
      default: '127.0.0.1',
      help: 'Address on which /livez, /readyz and /metrics are served.',
    }),
    metricsPort: setting.integer({
      env: 'METRICS_PORT',
      default: defaults.metricsPort,
      min: 0,
      max: 65_535,
      help: 'Port of /livez, /readyz and /metrics; 0 takes any free port.',
    }),
  };
}
export type CommonSettings = SettingsOf<ReturnType<typeof commonSettings>>;

export const databaseSettings = {
  databaseUrl: setting.url({
    env: 'DATABASE_URL',
    required: true,
    secret: true,
    protocols: ['postgres', 'postgresql'],
    help: 'Postgres 18 that holds bronze, silver and gold. TLS by sslmode, sslrootcert, sslcert and sslkey, as psql has them.',
  }),
};

export const saslMechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const;
export type SaslMechanism = (typeof saslMechanisms)[number];

/** Which Kafka, how it is known and how we are: see docs/own-clusters.md. What fits together, `kafkaClientOptions` says. */
export const kafkaConnectionSettings = {
  kafkaBrokers: setting.list({
    env: 'KAFKA_BROKERS',
    required: true,
    pattern: /^(?:\[[0-9a-fA-F:]+\]|[^\s:,/]+):\d{1,5}$/,
    kind: 'a list of host:port, separated by commas',
    help: 'Kafka bootstrap servers.',
  }),
  kafkaTls: setting.boolean({
    env: 'KAFKA_TLS',
    default: false,
    help: 'Whether to speak TLS to Kafka (its listeners SSL and SASL_SSL).',
  }),
  kafkaTlsCaFile: setting.file({
    env: 'KAFKA_TLS_CA_FILE',
    help: "PEM file of the authorities that may have signed the brokers' certificates; default: those that Node trusts.",
  }),
  kafkaTlsCertFile: setting.file({
    env: 'KAFKA_TLS_CERT_FILE',
    help: 'PEM file of our own certificate, for a Kafka that demands one.',
  }),
  kafkaTlsKeyFile: setting.file({
    env: 'KAFKA_TLS_KEY_FILE',
    help: 'PEM file of the private key of KAFKA_TLS_CERT_FILE.',
  }),
  kafkaTlsKeyPassword: setting.string({
    env: 'KAFKA_TLS_KEY_PASSWORD',
    secret: true,
    help: 'Password of KAFKA_TLS_KEY_FILE, if it has one.',
  }),
  kafkaTlsServerName: setting.string({
    env: 'KAFKA_TLS_SERVER_NAME',
    help: "Name that every broker's certificate must hold; default: the host in its address.",
  }),
  kafkaSaslMechanism: setting.choice(saslMechanisms, {
    env: 'KAFKA_SASL_MECHANISM',
    help: 'How to log in to Kafka (its listeners SASL_SSL and SASL_PLAINTEXT); default: not at all.',
  }),
  kafkaUsername: setting.string({
    env: 'KAFKA_USERNAME',
    help: 'User for plain and scram-sha-*; at Confluent the API key.',
  }),
  kafkaPassword: setting.string({
    env: 'KAFKA_PASSWORD',
    secret: true,
    help: 'Password for plain and scram-sha-*; at Confluent the API secret.',
  }),
  kafkaOauthTokenUrl: setting.url({
    env: 'KAFKA_OAUTH_TOKEN_URL',
    protocols: ['https', 'http'],
    help: 'Token endpoint for oauthbearer (client credentials).',
  }),
  kafkaOauthClientId: setting.string({ env: 'KAFKA_OAUTH_CLIENT_ID', help: 'Client for oauthbearer.' }),
  kafkaOauthClientSecret: setting.string({
    env: 'KAFKA_OAUTH_CLIENT_SECRET',
    secret: true,
    help: 'Secret of KAFKA_OAUTH_CLIENT_ID.',
  }),
  kafkaOauthScope: setting.string({
    env: 'KAFKA_OAUTH_SCOPE',
    help: 'Scope to ask the token endpoint for, if it wants one.',
  }),
  kafkaOauthExtensions: setting.list({
    env: 'KAFKA_OAUTH_EXTENSIONS',
    pattern: /^[A-Za-z]+=[\x20-\x7e]+$/,
    kind: 'a list of name=value, separated by commas',
    help: 'SASL extensions to send with a token, such as logicalCluster=lkc-1,identityPoolId=pool-2.',
  }),
};
export type KafkaConnectionSettings = SettingsOf<typeof kafkaConnectionSettings>;

export const kafkaSettings = {
  ...kafkaConnectionSettings,
  topicPrefix: setting.string({
    env: 'TOPIC_PREFIX',
    default: 'leakage',
    pattern: /^[A-Za-z0-9._-]{1,100}$/,
    kind: 'up to 100 letters, digits, dots, dashes and underscores',
    help: 'First part of the names of topics and consumer groups.',
  }),
};

/** Kafka for a service that consumes. */
export const consumerSettings = {
  ...kafkaSettings,
  sessionTimeoutMs: setting.integer({
    env: 'KAFKA_SESSION_TIMEOUT_MS',
    default: 30_000,
    min: 1_000,
    max: 300_000,
    help: 'How long a consumer may be silent before its partitions go to another process.',
  }),
};

/** A schema registry with Confluent's REST interface. Without one, schemas have the ids of a fixed table. */
export const registrySettings = {
  schemaRegistryUrl: setting.url({
    env: 'SCHEMA_REGISTRY_URL',
    secret: true,
    protocols: ['http', 'https'],
    help: "Schema registry that gives Avro schemas their ids, with user and password if it wants them; default: none, and this program's own ids.",
  }),
};

/** For a service that reads what others have written. */
export const registryReaderSettings = {
  ...registrySettings,
  // At most less than what the consumer gives one batch to be prepared (300 s).
  schemaRegistryWaitSeconds: setting.integer({
    env: 'SCHEMA_REGISTRY_WAIT_SECONDS',
    default: 60,
    min: 1,
    max: 240,
    help: 'How long records of a schema that is not known yet wait for a registry that does not answer, before the process ends.',
  }),
};

/** For a program that writes. */
export const registryWriterSettings = {
  ...registrySettings,
  schemaRegistryRegister: setting.boolean({
    env: 'SCHEMA_REGISTRY_REGISTER',
    default: false,
    help: 'Whether a schema of ours that the registry lacks is registered at the start; else the start fails and says which.',
  }),
};

/** For whoever makes or fills the topic for outsiders: the same for all processes of an installation. */
export const relaySettings = {
  relayChanges: setting.boolean({
    env: 'RELAY_CHANGES',
    default: true,
    help: 'Whether the silver-joiner of the active generation tells every change of a call fact in <prefix>.changes. When it is switched off, its position is given up. See docs/changes.md.',
  }),
};

const schemaName = { pattern: /^[a-z_][a-z0-9_]{0,50}$/, kind: 'a lower-case SQL name' };

export const schemaSettings = {
  bronzeSchema: setting.string({
    env: 'BRONZE_SCHEMA',
    default: 'bronze',
    ...schemaName,
    help: 'Schema of the archive of everything received.',
  }),
  silverSchema: setting.string({
    env: 'SILVER_SCHEMA',
    default: 'silver',
    ...schemaName,
    help: 'Schema of facts; generation n lives in this name followed by _n.',
  }),
  goldSchema: setting.string({
    env: 'GOLD_SCHEMA',
    default: 'gold',
    ...schemaName,
    help: 'Schema of figures; generation n lives in this name followed by _n.',
  }),
};

export const generationSettings = {
  generation: setting.integer({
    env: 'GENERATION',
    min: 1,
    max: 999_999,
    help: 'The generation of silver and gold that a process works on; a new number begins a new one with the rules set. Default: the active one, and the process ends, to be started again, when another one is promoted.',
  }),
};

export const replaySettings = {
  replay: setting.integer({
    env: 'REPLAY',
    min: 1,
    max: 2_147_483_647,
    help: 'A replay that leakage replay has begun: the process works on that one alone, and ends when it is done.',
  }),
};

export const apiSettings = {
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
};

export const timeZoneSettings = {
  timeZone: setting.string({
    env: 'TIME_ZONE',
    default: 'America/New_York',
    valid: (text) => canBeTimeZone(text),
    kind: 'an IANA time zone such as America/New_York',
    help: 'Where a business day begins and ends.',
  }),
};

function canBeTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}
