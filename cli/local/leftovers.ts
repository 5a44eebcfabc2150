import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { DataFolder } from './data-folder.ts';
import { kafkaStopSteps } from './kafka-server.ts';
import { postgresStopSteps } from './postgres-server.ts';
import { type StopStep, stopLeftover } from './server-process.ts';

const titles: Readonly<Record<string, string>> = { kafka: 'Kafka', postgres: 'Postgres', maven: 'Maven' };
const defaultSteps: readonly StopStep[] = [
  ['SIGTERM', 20_000],
  ['SIGKILL', 5_000],
];

/**
 * Stops what a start that was killed has left running: first whatever uses the servers, then Postgres, then Kafka.
 * Every process that is launched has a record in the folder's run/, so nothing is forgotten here. True if there was any.
 */
export async function stopLeftovers(folder: DataFolder): Promise<boolean> {
  const names = readdirSync(folder.run)
    .filter((file) => file.endsWith('.json') && file !== 'ports.json')
    .map((file) => basename(file, '.json'));
  const stop = (name: string, steps: readonly StopStep[]) =>
    stopLeftover(titles[name] ?? name, join(folder.run, `${name}.json`), steps);
  const clients = names.filter((name) => name !== 'kafka' && name !== 'postgres');
  const found = await Promise.all(clients.map((name) => stop(name, defaultSteps)));
  found.push(await stop('postgres', postgresStopSteps));
  found.push(await stop('kafka', kafkaStopSteps));
  return found.includes(true);
}
