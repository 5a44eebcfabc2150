export { readAddress, withAbsolutePaths } from './address.ts';
export { instantArray, int4Array, textArray } from './array-parameters.ts';
export type { Connection, Guards, QueryAnswer, Queryable } from './connection.ts';
export { CopyEncoder, type CopyType } from './copy-encoder.ts';
export type { CopySource } from './copy-in.ts';
export {
  CommitUnknownError,
  isTransient,
  OwnerNeededError,
  PositionMovedError,
  RolledBackError,
  sqlState,
} from './errors.ts';
export {
  activeGeneration,
  ensureGeneration,
  type Generation,
  type GenerationState,
  hashRules,
  loadGeneration,
  lockShards,
  publishViews,
  type ReasonTable,
  type Rules,
  type ShardRow,
} from './generations.ts';
export { type ListenerOptions, startListener } from './listener.ts';
export { lostWithin, type MendedRange, mendLosses, readLosses } from './losses.ts';
export { type MigrateOptions, migrate, migrateOps, schemaProblems } from './migrate.ts';
export { createPool, Pool, PoolBusyError, type PoolOptions } from './pool.ts';
export {
  addOutcomes,
  advance,
  givenPositions,
  type LostRange,
  type Move,
  type Outcomes,
  type PositionStore,
  positionStore,
  type StoredPosition,
} from './positions.ts';
export { openReplay, type Replay } from './replays.ts';
export { indexedPlansOnly, Session, type SessionOptions, type SinkTx } from './session.ts';
export { type Isolation, inTransaction, type TransactionOptions } from './transaction.ts';
export { instantParameter, parseInstant } from './values.ts';
export { waitForRelation } from './wait.ts';
export { withPool } from './with-pool.ts';
export { writerSchemaStore } from './writer-schemas.ts';
