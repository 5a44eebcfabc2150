import { setTimeout as sleep } from 'node:timers/promises';
import type { Health, Logger } from '@leakage/runtime';
import type { Queryable } from './connection.ts';

const POLL_MS = 500;
const WAIT_MS = 15 * 60_000;

/** Waits until another service has created a table or view (`schema.name`); readyz says so meanwhile. */
export async function waitForRelation(
  db: Queryable,
  name: string,
  o: { signal: AbortSignal; health: Health; log: Logger; timeoutMs?: number },
): Promise<void> {
  const check = `relation ${name}`;
  const deadline = Date.now() + (o.timeoutMs ?? WAIT_MS);
  for (let polls = 0; !(await exists(db, name)); polls++) {
    if (polls === 0) o.log.info({ relation: name }, 'waiting for a table that another service creates');
    o.health.setReady(check, false, `waiting until ${name} exists`);
    if (Date.now() > deadline) throw new Error(`${name} still does not exist: is the service that creates it running?`);
    await sleep(POLL_MS, undefined, { signal: o.signal });
  }
  o.health.setReady(check, true);
}

async function exists(db: Queryable, name: string): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>('select to_regclass($1) is not null as found', [name]);
  return rows[0]?.found === true;
}
