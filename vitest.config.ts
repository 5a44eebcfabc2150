import { defineConfig } from 'vitest/config';

const withServers = ['**/*.integration.test.ts', 'tests/**/*.e2e.test.ts'];
const never = ['**/node_modules/**', '**/.data/**', '**/fixtures/**'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...never, ...withServers],
          sequence: { groupOrder: 0 },
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: withServers,
          exclude: never,
          globalSetup: ['./libs/testing/src/global-setup.ts'],
          // One Kafka and one Postgres for the whole run; more files at a time than cores would only make waits longer.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
