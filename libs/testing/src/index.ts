export { call, journey, profile } from './builders.ts';
export { freePort, type ServiceName, type ServiceProcess, startServiceProcess } from './service-process.ts';
export { freshDatabase, freshPrefix, type TestDatabase, type TestStack, testStack } from './stack.ts';
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
