export {
  apiSettings,
  type CommonSettings,
  commonSettings,
  consumerSettings,
  databaseSettings,
  generationSettings,
  type KafkaConnectionSettings,
  kafkaConnectionSettings,
  kafkaSettings,
  type LogLevel,
  logLevels,
  registryReaderSettings,
  registrySettings,
  registryWriterSettings,
  relaySettings,
  replaySettings,
  type SaslMechanism,
  schemaSettings,
  timeZoneSettings,
} from './common-settings.ts';
export {
  dataDirectory,
  type Environment,
  environmentFile,
  formatEnvironmentFile,
  readEnvironment,
  readEnvironmentFile,
} from './environment.ts';
export { type Health, type HealthCheck, type HealthServer, HealthState, startHealthServer } from './health.ts';
export { Lifecycle, type Part, type StopReport } from './lifecycle.ts';
export { createLogger, describeError, type Logger, type LoggerOptions } from './logger.ts';
export { type Counter, type Gauge, type Histogram, type MetricOptions, Metrics } from './metrics.ts';
export { keepPace, type PaceOptions } from './pace.ts';
export {
  ensurePseudonymKey,
  pseudonymKeyId,
  pseudonymKeySettings,
  readPseudonymKey,
} from './pseudonym-key.ts';
export { RefusedError } from './refused-error.ts';
export { type PrepareContext, runService, type ServiceContext, type ServiceOptions } from './service.ts';
export {
  loadSettings,
  optional,
  type Setting,
  type SettingRow,
  SettingsError,
  type SettingsOf,
  type Spec,
  setting,
  settingRows,
  settingsHelp,
  settingsSet,
  settingsText,
  withoutPassword,
} from './settings.ts';
export { type Clock, DeadlineError, type RetryOptions, retry, sleep, systemClock, withDeadline } from './timing.ts';
export { readTlsFiles, type TlsFiles, type TlsMaterial, tlsFault, tlsRefusal } from './tls.ts';
