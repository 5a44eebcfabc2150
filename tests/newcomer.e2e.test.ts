import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger, readEnvironmentFile } from '@leakage/runtime';
import { eventually, freshPrefix, testStack } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const bin = join(root, 'cli/bin/leakage.mjs');

/** Every query that the README shows, word for word. */
function queriesOfReadme(): string[] {
  const [, sql = ''] = /```sql\n([\s\S]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  return sql.split(';').flatMap((text) => (/\bSELECT\b/.test(text) ? [text.trim()] : []));
}

describe('a newcomer starts the product and tries what the README says', () => {
  let product: ChildProcess;
  let pool: Pool;
  let env: Record<string, string>;
  const dataDir = mkdtempSync(join(tmpdir(), 'leakage-newcomer-'));

  beforeAll(async () => {
    const { brokers } = await testStack();
    const { PATH = '', HOME = '' } = process.env;
    // Kafka is given, Postgres is not: so the product makes its own database, which is called main.
    const world = { NUM_MEMBERS: '2000', NUM_DIGITAL_JOURNEYS: '2500', NUM_CALLS: '80', HISTORY_DAYS: '16' };
    env = { PATH, HOME, LEAKAGE_DATA_DIR: dataDir, KAFKA_BROKERS: brokers.join(','), TOPIC_PREFIX: freshPrefix() };
    product = spawn(process.execPath, [bin, 'up'], { env: { ...env, ...world }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [product.stdout, product.stderr]) stream?.on('data', (text: Buffer) => (output += text));
    const live = () => output.includes('Leakage is live') || product.exitCode !== null;
    await eventually(live, { withinMs: 180_000, what: 'live leakage' });
    if (product.exitCode !== null) throw new Error(`up ended with code ${product.exitCode}:\n${output}`);
    const { DATABASE_URL: url = '' } = readEnvironmentFile(join(dataDir, 'env'));
    pool = createPool({
      url,
      applicationName: 'newcomer',
      max: 1,
      log: createLogger({ service: 'tests', level: 'error' }),
    });
  }, 240_000);

  afterAll(async () => {
    await pool?.stop();
    product.kill('SIGKILL');
    if (product.exitCode === null && product.signalCode === null) await once(product, 'close');
    rmSync(dataDir, { recursive: true, force: true });
  });

  const leakage = async (command: string): Promise<Record<string, unknown>> => {
    const { stdout } = await promisify(execFile)(process.execPath, [bin, command, '--json'], { env });
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  it('the sample queries run as they stand, against the database main', async () => {
    const [summary, segments, savings, actions] = await Promise.all(
      queriesOfReadme().map(async (sql) => (await pool.query(sql)).rows),
    );
    expect(summary?.map((row) => row.journey).sort()).toEqual(['billing', 'id_card', 'pharmacy']);
    for (const row of summary ?? []) {
      expect(Number(row.daily_calls)).toBeGreaterThan(0);
      expect(Number(row.daily_cost) / Number(row.daily_calls)).toBeCloseTo(8, 0);
      expect(['MAPD New', 'MAPD Tenured', 'Commercial', 'Spanish', 'English', 'Other', 'Mixed']).toContain(
        row.primary_segment,
      );
    }
    expect(segments?.map((row) => row.segment)).toContain('MAPD New');
    expect(Number(segments?.[0]?.avg_sentiment)).toBeLessThan(0);
    expect(savings).toHaveLength(3);
    for (const row of savings ?? []) {
      expect(Number(row.savings_at_50pct)).toBeCloseTo(Number(row.annualized_cost) / 2, 1);
    }
    // Nothing is invented before actions can be derived.
    expect(actions).toEqual([]);
  });

  it('status, verify and compare-naive say that all is well, and why the exact rule matters', async () => {
    expect(await leakage('verify')).toMatchObject({ ok: true });
    const status = await leakage('status');
    expect(status).toMatchObject({ generation: 1, conservation: { partitions: 72, broken: [] } });
    expect(JSON.stringify(status)).not.toMatch(/M-\d/);
    const { rows, leakageCalls, missed } = await leakage('compare-naive');
    expect(missed).toBe(0);
    expect(Number(rows)).toBeGreaterThan(1.4 * Number(leakageCalls));
  });

  it('and Ctrl-C ends it in order', async () => {
    product.kill('SIGINT');
    await once(product, 'close');
    expect(product.exitCode).toBe(0);
  });
});
