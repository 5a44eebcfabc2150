import { type CodeEdit, type ServiceName, vector } from '@leakage/testing';
import { describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { startPipeline } from './support/pipeline.ts';
import { outgoing } from './support/vectors.ts';

/** One wrong line in a service. The oracle shares no code with it, so it must notice. */
interface PlantedBug extends CodeEdit {
  readonly what: string;
  readonly service: ServiceName;
  /** The vectors that touch the line. */
  readonly vectors: readonly string[];
  readonly noticedIn: RegExp;
}

const bugs: readonly PlantedBug[] = [
  {
    what: 'the rule: the window without its far end',
    service: 'silver-joiner',
    file: 'services/silver-joiner/src/domain/attribution.ts',
    right: 'if (event.timestamp >= callTimestamp - windowMs) last.set',
    wrong: 'if (event.timestamp > callTimestamp - windowMs) last.set',
    vectors: ['T-ATT'],
    noticedIn: /fact/,
  },
  {
    what: 'the merge: corrections are ignored',
    service: 'silver-joiner',
    file: 'services/silver-joiner/src/merge.ts',
    right: 'where excluded.revision > t.revision',
    wrong: 'where excluded.revision > t.revision + 100',
    vectors: ['T-FIX'],
    noticedIn: /call/,
  },
  {
    what: 'the fold: what a fact was before is not taken away',
    service: 'gold-aggregator',
    file: 'services/gold-aggregator/src/domain/fold.ts',
    right: 'if (kind === cube.kind) add(cells, cube, fact, sign);',
    wrong: 'if (kind === cube.kind && sign > 0) add(cells, cube, fact, sign);',
    vectors: ['T-FIX'],
    noticedIn: /cube/,
  },
];

describe('a planted bug is noticed by the oracle', () => {
  it.each(bugs)('in $what', async (bug) => {
    const pipeline = await startPipeline({ [bug.service]: { edits: [bug] } });
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
    }
  });
});
