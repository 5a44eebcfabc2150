import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServiceName, vector } from '@leakage/testing';
import { describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { startPipeline } from './support/pipeline.ts';
import { outgoing } from './support/vectors.ts';

/** One wrong line in a copy of a service. The oracle shares no code with it, so it must notice. */
interface PlantedBug {
  readonly what: string;
  readonly service: ServiceName;
  readonly file: string;
  readonly right: string;
  readonly wrong: string;
  /** The vectors that touch the line. */
  readonly vectors: readonly string[];
  readonly noticedIn: RegExp;
}

const bugs: readonly PlantedBug[] = [
  {
    what: 'the rule: the window without its far end',
    service: 'silver-joiner',
    file: 'src/domain/attribution.ts',
    right: 'if (event.timestamp >= callTimestamp - windowMs) last.set',
    wrong: 'if (event.timestamp > callTimestamp - windowMs) last.set',
    vectors: ['T-ATT'],
    noticedIn: /fact/,
  },
  {
    what: 'the merge: corrections are ignored',
    service: 'silver-joiner',
    file: 'src/merge.ts',
    right: 'where excluded.revision > t.revision',
    wrong: 'where excluded.revision > t.revision + 100',
    vectors: ['T-FIX'],
    noticedIn: /call/,
  },
  {
    what: 'the fold: what a fact was before is not taken away',
    service: 'gold-aggregator',
    file: 'src/domain/fold.ts',
    right: 'if (kind === cube.kind) add(cells, cube, fact, sign);',
    wrong: 'if (kind === cube.kind && sign > 0) add(cells, cube, fact, sign);',
    vectors: ['T-FIX'],
    noticedIn: /cube/,
  },
];

const servicesFolder = fileURLToPath(new URL('../services/', import.meta.url));

/** A copy of the service beside the original, where its imports resolve, with the bug in it. */
function plant(bug: PlantedBug): string {
  const text = readFileSync(join(servicesFolder, bug.service, bug.file), 'utf8');
  if (text.split(bug.right).length !== 2) throw new Error(`${bug.file} does not hold the line to break exactly once`);
  const folder = mkdtempSync(join(servicesFolder, '.planted-'));
  cpSync(join(servicesFolder, bug.service), folder, { recursive: true });
  writeFileSync(join(folder, bug.file), text.replace(bug.right, bug.wrong));
  return folder;
}

describe('a planted bug is noticed by the oracle', () => {
  it.each(bugs)('in $what', async (bug) => {
    const folder = plant(bug);
    const pipeline = await startPipeline({ [bug.service]: { folder } });
    try {
      for (const name of bug.vectors) {
        for (const step of vector(name).steps) {
          await pipeline.feed(step.records.map((record, nr) => outgoing(pipeline.prefix, record, nr)));
        }
      }
      const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
      expect(report.ok).toBe(false);
      const noticed = report.checks.filter((check) => check.differences > 0);
      expect(noticed.map((check) => check.name).join()).toMatch(bug.noticedIn);
      expect(noticed.every((check) => check.examples.length > 0)).toBe(true);
    } finally {
      await pipeline.stop();
      rmSync(folder, { recursive: true });
    }
  });
});
