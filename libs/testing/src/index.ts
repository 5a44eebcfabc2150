export { call, journey, profile } from './builders.ts';
export { type CodeEdit, checkEdits } from './code-edits.ts';
export { type FailPoint, type FailPointOrder, failPoints, failPointsOf } from './fail-points.ts';
export {
  freePort,
  type ServiceName,
  type ServiceProcess,
  startServiceProcess,
  type Tampering,
} from './service-process.ts';
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
