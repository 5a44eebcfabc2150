import { databaseSettings, generationSettings, type SettingsOf, schemaSettings, setting } from '@leakage/runtime';

export const settings = {
  ...databaseSettings,
  silverSchema: schemaSettings.silverSchema,
  goldSchema: schemaSettings.goldSchema,
  ...generationSettings,
  costPerCall: setting.decimal({
    env: 'COST_PER_CALL',
    default: 8,
    min: 0,
    max: 10_000,
    fractionDigits: 2,
    help: 'Dollars that a call costs. Stored in ops.parameter; a stored value changes only when this is set.',
  }),
  foldRowsMax: setting.integer({
    env: 'GOLD_FOLD_ROWS',
    default: 20_000,
    min: 100,
    max: 20_000,
    help: 'Changes that one fold takes at most, over all shards; up to 99 more of each where they share a row of the log.',
  }),
  pollMs: setting.integer({
    env: 'GOLD_POLL_MS',
    default: 1_000,
    min: 10,
    max: 60_000,
    help: 'How long gold waits for a notification before it looks by itself.',
  }),
  pauseMs: setting.integer({
    env: 'GOLD_PAUSE_MS',
    default: 50,
    min: 0,
    max: 10_000,
    help: 'Pause after a fold that left nothing, so that many small commits of silver become one fold.',
  }),
};

export type GoldSettings = SettingsOf<typeof settings>;

export const metricsPort = 9103;
