import { describe, expect, test } from 'vitest';
import { type Caller, refusal } from './loopback.ts';

const here: Caller = { remoteAddress: '127.0.0.1', host: 'localhost:8080', forwarded: false, fetchSite: undefined };

describe('a person on this machine is let in', () => {
  test.each(['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1', '::FFFF:127.0.0.1'])('from %s', (remoteAddress) => {
    expect(refusal({ ...here, remoteAddress })).toBeNull();
  });
  test.each(['localhost', 'LOCALHOST:8080', '127.0.0.1', '127.0.0.1:8080', '[::1]', '[::1]:8080'])('as %s', (host) => {
    expect(refusal({ ...here, host })).toBeNull();
  });
  test.each(['same-origin', 'none', undefined])('by a browser that says %s', (fetchSite) => {
    expect(refusal({ ...here, fetchSite })).toBeNull();
  });
});

describe('anybody else is refused', () => {
  test.each(['10.0.0.5', '192.168.1.2', '0.0.0.0', '::', '::ffff:10.0.0.1', 'fe80::1', '1127.0.0.1', undefined])(
    'from %s',
    (remoteAddress) => {
      expect(refusal({ ...here, remoteAddress })).toContain('on the machine');
    },
  );
  test.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '127.evil.example',
    'evil.example:127',
    'localhost:8080@evil.example',
    '10.0.0.5:8080',
    '0.0.0.0:8080',
    '',
    undefined,
  ])('as %s, though the connection is local (DNS rebinding)', (host) => {
    expect(refusal({ ...here, host })).toContain('under the names');
  });
  test('through a proxy on this machine', () => {
    expect(refusal({ ...here, forwarded: true })).toContain('proxy');
  });
  test('for a page of another site', () => {
    expect(refusal({ ...here, fetchSite: 'cross-site' })).toContain('other sites');
  });
});
