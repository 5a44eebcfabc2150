import { createLogger, RefusedError, SettingsError } from '@leakage/runtime';
import {
  type Certificates,
  createCertificates,
  eventually,
  type SecuredPostgres,
  startSecuredPostgres,
  temporaryFolder,
  testStack,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startListener } from './listener.ts';
import { migrateOps } from './migrate.ts';
import { createPool } from './pool.ts';
import { Session } from './session.ts';

const log = createLogger({ service: 'test', level: 'silent' });
/** Less than the half minute for which a server that does not answer is tried. */
const atOnceMs = 10_000;

let certificates: Certificates;
let server: SecuredPostgres;

beforeAll(async () => {
  certificates = createCertificates(temporaryFolder());
  server = await startSecuredPostgres(certificates);
});
afterAll(() => server?.stop());

type Parameters = Readonly<Record<string, string>>;

function urlWith(parameters: Parameters, user: Parameters[0] = 'secured'): string {
  const url = server.urlOf(user === 'certified' ? 'certified' : 'secured');
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

interface Seen {
  user: string;
  tls: boolean;
  certificate: string | null;
}

/** How the server sees us. */
async function ask(url: string): Promise<Seen | undefined> {
  const pool = createPool({ url, applicationName: 'test', max: 1, log });
  try {
    const { rows } = await pool.query<Seen>(
      `select current_user as user, ssl as tls, client_dn as certificate from pg_stat_ssl where pid = pg_backend_pid()`,
    );
    return rows[0];
  } finally {
    await pool.stop();
  }
}

const ca = (): Parameters => ({ sslrootcert: certificates.ours.caFile });
const owned = (commonName: string, authority = certificates.ours): Parameters => {
  const { certFile, keyFile } = authority.issue({ commonName });
  return { sslcert: certFile, sslkey: keyFile };
};

describe('a server that demands TLS', () => {
  test.each<[string, () => Parameters]>([
    ['prefer', () => ({})],
    ['require', () => ({})],
    ['require', ca],
    ['verify-ca', ca],
    ['verify-full', ca],
  ])('lets in sslmode=%s', async (sslmode, more) => {
    expect(await ask(urlWith({ sslmode, ...more() }))).toEqual({ user: 'secured', tls: true, certificate: null });
  });

  test('and a certificate of ours, where it wants one', async () => {
    const url = urlWith({ sslmode: 'verify-full', ...ca(), ...owned('certified') }, 'certified');
    expect(await ask(url)).toEqual({ user: 'certified', tls: true, certificate: '/CN=certified' });
  });

  test('migrations, sessions and listeners connect in the same way', async () => {
    const url = urlWith({ sslmode: 'verify-full', ...ca() });
    await migrateOps({ url, log });
    const session = new Session({ url, applicationName: 'test', log });
    const tls = await session.transaction(async (tx) => {
      const { rows } = await tx.query<Seen>('select ssl as tls from pg_stat_ssl where pid = pg_backend_pid()');
      return rows[0]?.tls;
    });
    expect(tls).toBe(true);
    await session.stop();
    const heard: string[] = [];
    const listener = await startListener({
      url,
      applicationName: 'test',
      channel: 'bell',
      onNotify: (payload) => heard.push(payload),
      log,
    });
    const pool = createPool({ url, applicationName: 'test', log });
    await pool.query(`select pg_notify('bell', 'rings')`);
    await eventually(() => heard.includes('rings'), { withinMs: 5_000, what: 'the bell' });
    await pool.stop();
    await listener.stop();
  });
});

test('sslmode=prefer makes do without TLS where there is none, and no other one does', async () => {
  const { adminUrl } = await testStack();
  const withMode = (sslmode: string): string => {
    const url = new URL(adminUrl);
    url.searchParams.set('sslmode', sslmode);
    return url.href;
  };
  expect(await ask(withMode('prefer'))).toMatchObject({ tls: false });
  await expect(ask(withMode('require'))).rejects.toThrow(
    /^Postgres at \S+:\d+ does not speak TLS, and sslmode in DATABASE_URL is require: switch TLS on there \(ssl = on\), or set sslmode=disable$/,
  );
});

describe('what a server refuses is said at once, in one sentence, with the part of DATABASE_URL to mend', () => {
  const user = (name: string, password: string): string => {
    const url = new URL(urlWith({ sslmode: 'require' }));
    url.username = name;
    url.password = password;
    return url.href;
  };
  const database = (name: string): string => {
    const url = new URL(urlWith({ sslmode: 'require' }));
    url.pathname = `/${name}`;
    return url.href;
  };
  test.each<[string, () => string, RegExp]>([
    [
      'a wrong password',
      () => user('secured', 'guess'),
      /^Postgres at 127\.0\.0\.1:\d+ refuses user secured \(password authentication failed .*\): check user and password in DATABASE_URL$/,
    ],
    [
      'an unknown user',
      () => user('nobody', 'guess'),
      /refuses user nobody \(password authentication failed .*\): check user/,
    ],
    ['no password', () => user('secured', ''), /wants a password from user secured: add it to DATABASE_URL$/],
    [
      'no such database',
      () => database('other'),
      /has no database other: create it, or name another one in DATABASE_URL$/,
    ],
    [
      'no TLS where it is demanded',
      () => urlWith({}),
      /refuses user secured \(.*no encryption\): add sslmode=verify-full \(or require\) to DATABASE_URL/,
    ],
    [
      'an authority that we do not know',
      () => urlWith({ sslmode: 'verify-full' }),
      /has a certificate of an authority that is not trusted \(.*\): set sslrootcert in DATABASE_URL to the PEM file/,
    ],
    [
      'another authority than the one that we trust',
      () => urlWith({ sslmode: 'verify-ca', sslrootcert: certificates.theirs.caFile }),
      /has a certificate of an authority that is not trusted \(.*\): set sslrootcert in DATABASE_URL/,
    ],
    [
      'no certificate of ours where one is wanted',
      () => urlWith({ sslmode: 'require' }, 'certified'),
      /refuses user certified \(connection requires a valid client certificate\): set sslcert and sslkey in DATABASE_URL/,
    ],
    [
      "somebody else's certificate",
      () => urlWith({ sslmode: 'require', ...owned('somebody') }, 'certified'),
      /refuses user certified \(.*\): check user, password and sslcert in DATABASE_URL$/,
    ],
    [
      'a certificate of ours by another authority',
      () => urlWith({ sslmode: 'require', ...owned('certified', certificates.theirs) }, 'certified'),
      /does not accept our certificate \(.*\): set sslcert and sslkey in DATABASE_URL to one that has not expired/,
    ],
  ])('%s', async (_, url, sentence) => {
    const begin = performance.now();
    const error: unknown = await ask(url()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RefusedError);
    expect((error as Error).message).toMatch(sentence);
    expect(performance.now() - begin).toBeLessThan(atOnceMs);
  });

  test('a CA file that is not there, before anything is connected', async () => {
    await expect(ask(urlWith({ sslmode: 'verify-full', sslrootcert: '/nowhere/ca.pem' }))).rejects.toThrow(
      SettingsError,
    );
  });

  test.each<[string, () => Certificates['good'], RegExp]>([
    [
      'a certificate that has expired',
      () => certificates.expired,
      /has a certificate that has expired: have it renewed, or mend the clock of this machine$/,
    ],
    [
      'a certificate for another name',
      () => certificates.otherName,
      /has a certificate for another name \(.*127\.0\.0\.1.*\): set the host in DATABASE_URL to a name that it holds/,
    ],
    [
      'a certificate of another authority',
      () => certificates.otherAuthority,
      /has a certificate of an authority that is not trusted/,
    ],
  ])('%s; who verifies less is let in', async (_, certificate, sentence) => {
    await server.present(certificate());
    const verified = (): Promise<unknown> =>
      ask(urlWith({ sslmode: 'verify-full', ...ca() })).catch((error: unknown) => error);
    try {
      await eventually(async () => (await verified()) instanceof RefusedError, { withinMs: 10_000 });
      expect(String(await verified())).toMatch(sentence);
      expect(await ask(urlWith({ sslmode: 'require' }))).toMatchObject({ tls: true });
    } finally {
      await server.present(certificates.good);
    }
    await eventually(async () => !((await verified()) instanceof Error), { withinMs: 10_000 });
  });
});
