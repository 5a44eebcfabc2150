import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const withServers = ['**/*.integration.test.ts', 'tests/**/*.e2e.test.ts'];
const faults = ['tests/faults/**/*.test.ts'];
// tests/containers is asked for by name: vitest.containers.config.ts.
const never = ['**/node_modules/**', '**/.data/**', '**/fixtures/**', 'tests/containers/**'];

/** A long run is as long as its longest file, if that one begins first. */
class SchedulesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLongest = ({ moduleId }: TestSpecification) => moduleId.endsWith('schedules.test.ts');
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: SchedulesFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...never, ...withServers, ...faults],
          // The quick ones first. (Order 0 would put a project with one worker behind all others.)
          sequence: { groupOrder: 1 },
          maxWorkers: 2,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: withServers,
          exclude: [...never, ...faults],
          globalSetup: ['./libs/testing/src/global-setup.ts'],
          // One Kafka and one Postgres for the whole run; more files at a time than cores would only make waits longer.
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: faults,
          exclude: never,
          globalSetup: ['./libs/testing/src/global-setup.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
          // Every wait in these tests has its own limit, with a message; this one only ends what nobody thought of.
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
