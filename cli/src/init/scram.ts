import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';

// What Postgres itself uses (scram_iterations).
const iterations = 4096;
const saltBytes = 16;

/**
 * What Postgres keeps of a password (RFC 5803, RFC 7677): computed here, so that the password itself is never part of a
 * statement, which a server may log. Passwords are printable ASCII, which SASLprep leaves as it is.
 */
export function scramVerifier(password: string): string {
  return verifier(password, { salt: randomBytes(saltBytes), rounds: iterations });
}

/** Whether a stored verifier is that of a password. */
export function isVerifierOf(stored: string, password: string): boolean {
  const [, rounds, salt] = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(stored) ?? [];
  if (rounds === undefined || salt === undefined) return false;
  const again = Buffer.from(verifier(password, { salt: Buffer.from(salt, 'base64'), rounds: Number(rounds) }));
  const kept = Buffer.from(stored);
  return kept.length === again.length && timingSafeEqual(kept, again);
}

function verifier(password: string, { salt, rounds }: { salt: Buffer; rounds: number }): string {
  const salted = pbkdf2Sync(password, salt, rounds, 32, 'sha256');
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = createHash('sha256').update(clientKey).digest('base64');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64');
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}
