export { readAddress, withAbsolutePaths } from './address.ts';
export { instantArray, int4Array, textArray } from './array-parameters.ts';
export type { Connection, Guards, QueryAnswer, Queryable } from './connection.ts';
export { CopyEncoder, type CopyType } from './copy-encoder.ts';
export type { CopySource } from './copy-in.ts';
export { type DropOptions, type Dropped, dropGeneration, neverDropped } from './drop.ts';
export { type About, ERASED_MAX, Erased, memberHash, mustFit, recordHash } from './erased.ts';
export {
  CommitUnknownError,
  insufficientPrivilege,
  isTransient,
  OwnerNeededError,
  PolicyChangedError,
  PositionMovedError,
  RolledBackError,
  sqlState,
} from './errors.ts';
export {
  activeGeneration,
  beginBuilding,
  ensureGeneration,
  type Generation,
  type GenerationOrders,
  type GenerationState,
  generationOrders,
  hashRules,
  loadGeneration,
  lockShards,
  mustNotBeDropped,
  noteCaughtUp,
  publishViews,
  type ReasonTable,
  type Rules,
  type ShardRow,
  wasDropped,
  workingGeneration,
} from './generations.ts';
export { type ListenerOptions, startListener } from './listener.ts';
export { lostWithin, type MendedRange, mendLosses, readLosses } from './losses.ts';
export { type MigrateOptions, migrate, migrateOps, schemaProblems } from './migrate.ts';
export { type Policy, PolicyInForce } from './policy.ts';
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
export {
  generationsChannel,
  type Promotion,
  PromotionHeldUpError,
  type PromotionOptions,
  promote,
  rollback,
} from './promotion.ts';
export { behindWords, PromotionRefusedError } from './promotion-checks.ts';
export { type Behind, readBehind, wayBack } from './promotion-store.ts';
export { openReplay, type Replay } from './replays.ts';
export { indexedPlansOnly, Session, type SessionOptions, type SinkTx } from './session.ts';
export { type Isolation, inTransaction, type TransactionOptions } from './transaction.ts';
export { instantParameter, parseInstant } from './values.ts';
export { waitForRelation } from './wait.ts';
export { withPool } from './with-pool.ts';
export { writerSchemaStore } from './writer-schemas.ts';
