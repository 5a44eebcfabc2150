// What other programs of the project may ask of rebuilding.
export { prepareGeneration } from '../service-once.ts';
export { beginRebuild } from './begin.ts';
export { type RebuildProgress, readRebuildProgress } from './progress.ts';
