import { createPool, migrateOps, type Pool } from '@leakage/postgres';
import { loadSettings } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ruleSettings } from './config.ts';
import { DEFAULT_RULES, RULES_VERSION } from './domain/rules.ts';
import { explicitRules, openGeneration, rulesOf } from './generation.ts';
import { testLog } from './testing/postgres-silver.ts';

let server: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  server = await freshDatabase();
  await migrateOps({ url: server.url, log: testLog });
  pool = createPool({ url: server.url, applicationName: 'silver-test', log: testLog });
});

afterAll(async () => {
  await pool.stop();
  await server.drop();
});

/** As the service starts with these variables in its environment. */
async function start(id: number, env: Record<string, string>) {
  const rules = rulesOf(loadSettings(ruleSettings, env));
  return await openGeneration(pool, id, { rules, explicit: explicitRules(rules, env) });
}

describe('a generation', () => {
  it('is made with the rules of the settings, and keeps them', async () => {
    const made = await start(1, { LEAKAGE_WINDOW_MINUTES: '45' });
    expect(made).toMatchObject({ id: 1, state: 'active', rules: { ...DEFAULT_RULES, windowMs: 45 * 60_000 } });
    expect(await start(1, {})).toEqual(made);
    expect(await start(1, { LEAKAGE_WINDOW_MINUTES: '45', TIME_ZONE: 'America/New_York' })).toEqual(made);
  });

  it('refuses a process that was told other rules, and says what to do', async () => {
    const wrong = start(1, { LEAKAGE_WINDOW_MINUTES: '30', REPEAT_SCOPE: 'any_reason' });
    await expect(wrong).rejects.toThrow(
      'generation 1 was made with other rules: LEAKAGE_WINDOW_MINUTES is 30, the generation has 45; ' +
        'REPEAT_SCOPE is any_reason, the generation has same_issue. Unset what differs to go on with it, or set GENERATION',
    );
  });

  it('takes other rules under another number, beside the first', async () => {
    expect(await start(2, { LEAKAGE_WINDOW_MINUTES: '30' })).toMatchObject({ id: 2, state: 'preparing' });
  });

  it('of other code is never continued', async () => {
    await pool.query(`update ops.generation set rules = rules || '{"rulesVersion": 99}' where id = 2`);
    await expect(start(2, {})).rejects.toThrow(
      `generation 2 was made by version 99 of the rules, this program has version ${RULES_VERSION}`,
    );
  });

  it('needs a reason table that can be read', async () => {
    await expect(start(3, { REASON_TABLE: '/nowhere.json' })).rejects.toThrow('REASON_TABLE /nowhere.json: ENOENT');
  });
});
