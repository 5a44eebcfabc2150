// npm run test:backends: the end-to-end test on servers of each kind, one after the other: local ones, those of the
// environment, containers. An argument (local, env, docker) runs it on these only.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLocalStack } from '@leakage/cli/local';

const project = fileURLToPath(new URL('../', import.meta.url));
const vitest = join(project, 'node_modules', '.bin', 'vitest');
const endToEnd = ['tests/vectors.e2e.test.ts', 'tests/foreign-producer.e2e.test.ts'];
const kinds = ['local', 'env', 'docker'] as const;
type Kind = (typeof kinds)[number];

const asked = process.argv.slice(2);
const unknown = asked.filter((kind) => !(kinds as readonly string[]).includes(kind));
if (unknown.length > 0) {
  console.error(`${unknown.join(', ')}: not a kind of servers; there are ${kinds.join(', ')}.`);
  process.exit(2);
}

const red: Kind[] = [];
for (const kind of kinds.filter((one) => asked.length === 0 || asked.includes(one))) {
  console.log(`\n== the end-to-end test on: ${kind}`);
  const green = kind === 'env' ? await onServersOfTheEnvironment() : run({ TEST_BACKEND: kind });
  if (!green) red.push(kind);
}
console.log(red.length === 0 ? '\nGreen on each of them.' : `\nRed on: ${red.join(', ')}`);
process.exitCode = red.length === 0 ? 0 : 1;

/** Servers that somebody else has started; here they are ours, but the tests cannot know. */
async function onServersOfTheEnvironment(): Promise<boolean> {
  const dataDir = mkdtempSync(join(tmpdir(), 'leakage-env-'));
  try {
    const stack = await startLocalStack({ dataDir });
    try {
      return run({ TEST_BACKEND: 'env', KAFKA_BROKERS: stack.brokers, DATABASE_URL: stack.databaseUrl });
    } finally {
      await stack.stop({ forget: true });
    }
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function run(env: Record<string, string>): boolean {
  const { status } = spawnSync(vitest, ['run', '--project', 'integration', ...endToEnd], {
    cwd: project,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  return status === 0;
}
