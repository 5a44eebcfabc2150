import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatEnvironmentFile, readEnvironmentFile, setting } from '@leakage/runtime';
import { type RoleName, roleNames, roleTable } from './role-table.ts';
import type { Passwords } from './roles.ts';

const password = (role: string, user: string) =>
  setting.string({
    env: `LEAKAGE_${role}_PASSWORD`,
    secret: true,
    pattern: /^[\x21-\x7e]{8,200}$/,
    kind: '8 to 200 printable ASCII characters without spaces',
    help: `Password that leakage init gives to the login of ${user}; without it, a new login gets an invented one.`,
  });

/** Where the passwords of the logins come from that `leakage init` makes. */
export const passwordSettings = {
  bronze: password('BRONZE', 'bronze-sink'),
  silver: password('SILVER', 'silver-joiner'),
  gold: password('GOLD', 'gold-aggregator'),
  api: password('API', 'the api'),
  reader: password('READER', 'analysts'),
};

const inventedBytes = 24;

/** Passwords for the roles that have none yet and were given none. */
export function inventPasswords(given: Passwords, exists: (role: RoleName) => boolean): Passwords {
  const wanting = roleTable.filter(({ name }) => given[name] === undefined && !exists(name));
  return Object.fromEntries(wanting.map(({ name }) => [name, randomBytes(inventedBytes).toString('base64url')]));
}

/** Adds one DATABASE_URL per role to a file that only its owner may read. */
export function keepUrls(
  file: string,
  o: { readonly url: string; readonly prefix: string; readonly passwords: Passwords },
): void {
  const names = roleNames(o.prefix);
  const urls = roleTable.flatMap(({ name }) => {
    const secret = o.passwords[name];
    if (secret === undefined) return [];
    const url = new URL(o.url);
    url.username = names[name];
    url.password = encodeURIComponent(secret);
    return [[`${name.toUpperCase()}_DATABASE_URL`, url.href] as const];
  });
  const before = definedOnly(readEnvironmentFile(file));
  mkdirSync(dirname(file), { recursive: true });
  const text = formatEnvironmentFile({ ...before, ...Object.fromEntries(urls) });
  const half = `${file}.${process.pid}`;
  try {
    writeFileSync(half, `# Written by leakage init: the DATABASE_URL of each login.\n${text}`, {
      mode: 0o600,
      flag: 'wx',
    });
    renameSync(half, file);
  } catch (error) {
    rmSync(half, { force: true });
    throw error;
  }
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
