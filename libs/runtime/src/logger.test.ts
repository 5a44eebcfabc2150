import { expect, test } from 'vitest';
import { createLogger, describeError } from './logger.ts';

function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger({ service: 'test', stream: { write: (line: string) => void lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line is JSON with level, time, service and message', () => {
  const [line] = logged((log) => log.info({ rows: 3 }, 'stored'));
  expect(line).toMatchObject({ level: 'info', service: 'test', rows: 3, msg: 'stored' });
  expect(line?.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('no member is named and no password written', () => {
  const [line] = logged((log) =>
    log.info({ member_id: 'M-104382', call: { memberId: 'M-104382' }, password: 'hunter2' }, 'x'),
  );
  expect(JSON.stringify(line)).not.toMatch(/M-104382|hunter2/);
});

test('an error is described without the row that a driver puts into it', () => {
  const error = Object.assign(new Error('duplicate key', { cause: new Error('below') }), {
    code: '23505',
    detail: 'Key (member_id)=(M-104382) exists',
  });
  const [line] = logged((log) => log.error({ err: error }, 'failed'));
  expect(line?.err).toMatchObject({
    type: 'Error',
    message: 'duplicate key',
    code: '23505',
    cause: { message: 'below' },
  });
  expect(JSON.stringify(line)).not.toContain('M-104382');
});

test('a ring of causes ends', () => {
  const error = new Error('ring');
  error.cause = error;
  expect(JSON.stringify(describeError(error)).length).toBeLessThan(20_000);
  expect(describeError('text')).toEqual({ type: 'string', message: 'text' });
});
