import { expect, test } from 'vitest';
import { Lifecycle } from './lifecycle.ts';
import { createLogger } from './logger.ts';
import { sleep } from './timing.ts';

const log = createLogger({ service: 'test', level: 'silent' });

function lifecycleOf(parts: readonly { name: string; stop: () => Promise<void> }[]): Lifecycle {
  const lifecycle = new Lifecycle(log, () => undefined);
  for (const part of parts) lifecycle.own(part);
  return lifecycle;
}

test('parts stop in reverse, each after the one started later has stopped', async () => {
  const events: string[] = [];
  const part = (name: string) => ({
    name,
    stop: async () => {
      events.push(`${name} stopping`);
      await sleep(5);
      events.push(`${name} stopped`);
    },
  });
  expect(await lifecycleOf([part('pool'), part('consumer')]).stop(1_000)).toEqual({ clean: true });
  expect(events).toEqual(['consumer stopping', 'consumer stopped', 'pool stopping', 'pool stopped']);
});

test('one part that throws or hangs keeps no other from stopping, and is reported', async () => {
  const stopped: string[] = [];
  const lifecycle = lifecycleOf([
    { name: 'pool', stop: async () => void stopped.push('pool') },
    { name: 'hanging', stop: () => sleep(10_000, AbortSignal.timeout(300)).catch(() => undefined) },
    { name: 'throwing', stop: async () => Promise.reject(new Error('no')) },
  ]);
  expect(await lifecycle.stop(50)).toEqual({ clean: false });
  expect(stopped).toEqual(['pool']);
});

test('a failure is reported while running, and not any more while stopping', async () => {
  const failures: string[] = [];
  const lifecycle = new Lifecycle(log, (error, part) => failures.push(`${part.name}: ${String(error)}`));
  const first = Promise.withResolvers<never>();
  const second = Promise.withResolvers<never>();
  lifecycle.own({ name: 'a', stop: async () => undefined, failed: first.promise });
  lifecycle.own({ name: 'b', stop: async () => second.reject(new Error('closed')), failed: second.promise });
  first.reject(new Error('lost'));
  await sleep(1);
  await lifecycle.stop(100);
  expect(failures).toEqual(['a: Error: lost']);
});
