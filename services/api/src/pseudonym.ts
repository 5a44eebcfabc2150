import { createHmac } from 'node:crypto';
import { pseudonymKeyId } from '@leakage/runtime';

/** Stands for a member where the id itself must not be. */
export interface Pseudonyms {
  /** Names the key without revealing it: pids of two keys cannot be compared. */
  readonly keyId: string;
  /** Twelve base32 letters, the same for the same member and key. */
  pid(memberId: string): string;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const pidLetters = 12;

export function pseudonyms(key: string): Pseudonyms {
  return {
    keyId: pseudonymKeyId(key),
    pid: (memberId) => base32(createHmac('sha256', key).update(memberId).digest()).slice(0, pidLetters),
  };
}

function base32(bytes: Buffer): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return text;
}
