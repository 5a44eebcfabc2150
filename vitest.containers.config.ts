import { defineConfig } from 'vitest/config';

// npm run test:containers: the composed product, which takes an engine and minutes, so that it is asked for by name.
export default defineConfig({
  test: {
    name: 'containers',
    include: ['tests/containers/**/*.test.ts'],
    fileParallelism: false,
    // Every wait in these tests has its own limit, with a message; these only end what nobody thought of.
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
