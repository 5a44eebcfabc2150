import {
  consumerSettings,
  databaseSettings,
  generationSettings,
  pseudonymKeySettings,
  registryReaderSettings,
  registryWriterSettings,
  relaySettings,
  replaySettings,
  type SettingsOf,
  schemaSettings,
  setting,
  timeZoneSettings,
} from '@leakage/runtime';

/** The settings that shape a new generation, and nothing after that. */
export const ruleSettings = {
  windowMinutes: setting.integer({
    env: 'LEAKAGE_WINDOW_MINUTES',
    default: 30,
    min: 1,
    max: 1_440,
    help: 'How long after a failed journey a call counts as leakage. Shapes a new generation only.',
  }),
  repeatScope: setting.choice(['same_issue', 'any_reason'], {
    env: 'REPEAT_SCOPE',
    default: 'same_issue',
    help: 'Which earlier call within 168 hours makes a call a repeat. Shapes a new generation only.',
  }),
  reasonTable: setting.string({
    env: 'REASON_TABLE',
    kind: 'the path of a JSON file',
    help: 'Journey types with their call reasons and IVR tokens, instead of the built-in table. Shapes a new generation only.',
  }),
  ...timeZoneSettings,
};

export const settings = {
  ...databaseSettings,
  ...consumerSettings,
  ...registryReaderSettings,
  ...registryWriterSettings,
  ...relaySettings,
  ...ruleSettings,
  bronzeSchema: schemaSettings.bronzeSchema,
  silverSchema: schemaSettings.silverSchema,
  ...generationSettings,
  ...replaySettings,
  ...pseudonymKeySettings,
  bronzeReaders: setting.integer({
    env: 'BRONZE_READERS',
    default: 1,
    min: 1,
    max: 12,
    help: 'Into how many parts bronze is cut while a generation is built from it: as many processes of the generation can read it.',
  }),
  batchRecordsMax: setting.integer({
    env: 'SILVER_BATCH_RECORDS',
    default: 10_000,
    min: 1,
    max: 100_000,
    help: 'Records that one transaction of silver takes at most.',
  }),
  lingerMs: setting.integer({
    env: 'SILVER_LINGER_MS',
    default: 0,
    min: 0,
    max: 10_000,
    help: 'How long a batch of silver that is not full waits for more: fewer, larger transactions for later facts.',
  }),
};

export type SilverSettings = SettingsOf<typeof settings>;

export const metricsPort = 9102;
