import { expect, test } from 'vitest';
import { isVerifierOf, scramVerifier } from './scram.ts';

// User "user", password "pencil", the salt of RFC 7677: what Postgres stores for it.
const known =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';

test('a verifier is that of its password and of no other', () => {
  expect(isVerifierOf(known, 'pencil')).toBe(true);
  expect(isVerifierOf(known, 'pencil ')).toBe(false);
  expect(isVerifierOf(known.replace('wfPL', 'WFPL'), 'pencil')).toBe(false);
  for (const other of ['', 'md5a8e2f7', 'pencil']) expect(isVerifierOf(other, 'pencil')).toBe(false);
});

test('two verifiers of a password differ, and neither holds it', () => {
  const [one, other] = [scramVerifier('correct-horse'), scramVerifier('correct-horse')];
  expect(one).not.toBe(other);
  expect(isVerifierOf(one, 'correct-horse') && isVerifierOf(other, 'correct-horse')).toBe(true);
  expect(one).toMatch(/^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}:[A-Za-z0-9+/=]{44}$/);
});
