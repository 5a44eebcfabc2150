import { RefusedError, tlsRefusal } from '@leakage/runtime';
import type { DatabaseAddress } from './address.ts';
import { sqlState } from './errors.ts';

/** Why this server will not do, in a sentence; null when the next attempt may succeed. */
export function refusalOf(error: unknown, address: DatabaseAddress): RefusedError | null {
  const server = `Postgres at ${address.where}`;
  const ownCertificate = address.tls !== false && address.tls.cert !== undefined;
  const message = error instanceof Error ? error.message : '';
  const refused = (what: string, remedy: string) => new RefusedError(`${server} ${what}`, remedy, { cause: error });
  if (hasNoTls(error) && address.sslMode !== 'prefer') {
    return refused(
      `does not speak TLS, and sslmode in DATABASE_URL is ${address.sslMode}`,
      'switch TLS on there (ssl = on), or set sslmode=disable',
    );
  }
  if (/^SASL: .*password must be/.test(message)) {
    return refused(`wants a password from user ${address.user}`, 'add it to DATABASE_URL');
  }
  switch (sqlState(error) ?? '') {
    case '28P01':
      // The server says the same of a certificate that is not this user's.
      return refused(
        `refuses user ${address.user} (${message})`,
        `check user${ownCertificate ? ', password and sslcert' : ' and password'} in DATABASE_URL`,
      );
    case '28000':
      return refused(`refuses user ${address.user} (${message})`, remedyOf(message));
    case '3D000':
      return refused(`has no database ${address.database}`, 'create it, or name another one in DATABASE_URL');
    case '42501':
      // A statement that is run right after connecting may be forbidden as well: that says enough by itself.
      if (!message.startsWith('permission denied for database')) return null;
      return refused(
        `does not let user ${address.user} into database ${address.database} (${message})`,
        `grant connect on database ${address.database} to ${address.user}, or check DATABASE_URL`,
      );
    default:
      return tlsRefusal(error, {
        server,
        ownCertificate,
        settings: {
          ca: 'sslrootcert in DATABASE_URL',
          cert: 'sslcert and sslkey in DATABASE_URL',
          host: 'the host in DATABASE_URL',
        },
      });
  }
}

/** One SQLSTATE for everything that pg_hba.conf does not allow; its words are English in every release, and the log's. */
function remedyOf(message: string): string {
  if (message.includes('no encryption')) {
    return 'add sslmode=verify-full (or require) to DATABASE_URL, or allow it without TLS in pg_hba.conf';
  }
  if (message.includes('certificate')) return 'set sslcert and sslkey in DATABASE_URL to a certificate of this user';
  return 'check the user in DATABASE_URL, and whether pg_hba.conf lets it in from here';
}

/** pg's own words, for the one byte with which a server says so. */
export function hasNoTls(error: unknown): boolean {
  return error instanceof Error && error.message === 'The server does not support SSL connections';
}
