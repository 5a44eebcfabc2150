import {
  kafkaSettings,
  optional,
  registryWriterSettings,
  type SettingsOf,
  setting,
  timeZoneSettings,
} from '@leakage/runtime';
import { contracts } from '@leakage/schemas';
import { DEFAULT_RATES } from './domain/noise.ts';
import { PRESETS, type PresetName } from './domain/parameters.ts';

const newestJourney = contracts.journeys.versions.length;

const share = (env: string, fallback: number, help: string) =>
  setting.decimal({ env, default: fallback, min: 0, max: 0.5, help });

export const settings = {
  ...kafkaSettings,
  // Files need no Kafka.
  kafkaBrokers: optional(kafkaSettings.kafkaBrokers),
  ...registryWriterSettings,
  ...timeZoneSettings,
  journeySchemaVersion: setting.integer({
    env: 'JOURNEY_SCHEMA_VERSION',
    default: newestJourney,
    min: 1,
    max: newestJourney,
    help: 'Version of the journey contract that is written; 1 has no app_version. Readers read both.',
  }),
  preset: setting.choice(Object.keys(PRESETS) as PresetName[], {
    env: 'PRESET',
    default: 'small',
    help: 'How large the invented world is; parity is one day of the figures the original prints.',
  }),
  seed: setting.integer({ env: 'SEED', default: 42, min: 0, help: 'The same seed gives the same world.' }),
  numMembers: setting.integer({ env: 'NUM_MEMBERS', min: 1, max: 800_000, help: "Members; default: the preset's." }),
  numDigitalJourneys: setting.integer({
    env: 'NUM_DIGITAL_JOURNEYS',
    min: 1,
    max: 10_000_000,
    help: "Digital events a day; default: the preset's.",
  }),
  numCalls: setting.integer({
    env: 'NUM_CALLS',
    min: 1,
    max: 1_000_000,
    help: "Leakage calls a day, about two fifths of all calls; default: the preset's.",
  }),
  historyDays: setting.integer({
    env: 'HISTORY_DAYS',
    default: 42,
    min: 1,
    max: 1_000,
    help: 'Complete days before the live stream, published as fast as Kafka takes them.',
  }),
  anchorDate: setting.string({
    env: 'ANCHOR_DATE',
    valid: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
    kind: 'a date such as 2026-01-31',
    help: 'Last day of the history; the live stream then runs from its end at SPEED. Default: yesterday, then live as the clock runs.',
  }),
  speed: setting.decimal({
    env: 'SPEED',
    default: 1,
    min: 1,
    max: 3_600,
    help: 'Simulated seconds in a second after ANCHOR_DATE. The simulated clock never passes the real one.',
  }),
  live: setting.boolean({
    env: 'LIVE',
    default: true,
    help: 'Whether the stream goes on after the history; false: the process ends. Files hold the history alone.',
  }),
  outputPath: setting.string({
    env: 'OUTPUT_PATH',
    help: "Folder of the truth file, the agents' names and the generator's own state; default: generator in LEAKAGE_DATA_DIR.",
  }),
  output: setting.choice(['kafka', 'jsonl', 'csv'], {
    env: 'GENERATOR_OUTPUT',
    default: 'kafka',
    help: 'Where the records go: into Kafka, or into files in OUTPUT_PATH; csv is the history alone, each event once as it stands in the end.',
  }),
  controlPort: setting.integer({
    env: 'GENERATOR_CONTROL_PORT',
    default: 0,
    min: 0,
    max: 65_535,
    help: 'Loopback port on which `leakage simulate` reaches the generator; 0 takes any free port.',
  }),
  parameterFile: setting.file({
    env: 'PARAMETER_FILE',
    help: 'JSON file of what is different in the simulated world; see docs/simulator.md.',
  }),
  batchRecords: setting.integer({
    env: 'GENERATOR_BATCH_RECORDS',
    default: 4_000,
    min: 1,
    max: 50_000,
    help: 'Records in one publish at most.',
  }),
  duplicateRate: share('DUPLICATE_RATE', DEFAULT_RATES.duplicates, 'Share of records sent twice.'),
  resendRate: share('RESEND_RATE', DEFAULT_RATES.resent, 'Share of records sent again after hours.'),
  lateRate: share('LATE_RATE', DEFAULT_RATES.late, 'Share of records sent 1 to 30 minutes late.'),
  lateDayRate: share('LATE_DAY_RATE', DEFAULT_RATES.lateWithinDay, 'Share of records sent up to 24 hours late.'),
  veryLateRate: share('VERY_LATE_RATE', DEFAULT_RATES.lateBeyondTwoDays, 'Share of records sent 2 to 4 days late.'),
  jitterSeconds: setting.decimal({
    env: 'JITTER_SECONDS',
    default: DEFAULT_RATES.jitterSeconds,
    min: 0,
    max: 60,
    help: 'Every record is delayed by up to this, so that order is lost.',
  }),
  correctionRate: share('CORRECTION_RATE', DEFAULT_RATES.corrections, 'Share of calls that are corrected.'),
  deletionRate: share('DELETION_RATE', DEFAULT_RATES.deletions, 'Share of calls and page views that are withdrawn.'),
  malformedRate: share('MALFORMED_RATE', DEFAULT_RATES.malformed, 'Share of records that are damaged.'),
  orphanRate: share('ORPHAN_RATE', DEFAULT_RATES.orphans, 'Share of other calls by callers without a profile.'),
};

export type GeneratorSettings = SettingsOf<typeof settings>;

export const metricsPort = 9100;
