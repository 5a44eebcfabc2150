export { type FoundSchema, RegistryClient } from './client.ts';
export { type ChangesEncoderOptions, type EncodersOptions, openChangesEncoder, openEncoders } from './encoders.ts';
export { RegistrySilentError } from './errors.ts';
export {
  contractReading,
  openReaders,
  type Reading,
  type ReadingOptions,
  type RecordsOf,
  type SchemaStore,
} from './readers.ts';
