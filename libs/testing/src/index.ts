export { call, journey, profile } from './builders.ts';
export { type CodeEdit, checkEdits, editedCode } from './code-edits.ts';
export { archiveFailPoints, type FailPoint, type FailPointOrder, failPoints, failPointsOf } from './fail-points.ts';
export { type FaultServers, type FaultyServer, startFaultServers } from './fault-servers.ts';
export {
  type MemoryReport,
  type MemorySample,
  type MemorySampler,
  type MemorySamplerOptions,
  memoryReport,
  residentBytes,
  sampleMemory,
} from './memory.ts';
export { type Cut, type PostgresProxy, startPostgresProxy } from './postgres-proxy.ts';
export { type Outage, type RegistryOptions, startTestRegistry, type TestRegistry } from './registry-server.ts';
export {
  type Certificates,
  createCertificates,
  databaseUsers,
  otherName,
  type SecuredKafka,
  type SecuredPostgres,
  saslUser,
  startSecuredKafka,
  startSecuredPostgres,
} from './secured-servers.ts';
export type { ServiceName } from './service-name.ts';
export { freePort, type ServiceProcess, startServiceProcess, type Tampering } from './service-process.ts';
export { freshDatabase, freshPrefix, type TestDatabase, type TestStack, testStack } from './stack.ts';
export { type Ended, type SupervisedProcess, type SuperviseOptions, superviseService } from './supervised-process.ts';
export { temporaryFolder } from './temporary-folder.ts';
export {
  totalsOfAtt,
  type Vector,
  type VectorRecord,
  type VectorRow,
  type VectorStep,
  vector,
  vectors,
} from './vectors.ts';
export { eventually } from './waiting.ts';
