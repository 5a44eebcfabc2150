// Who may see a single member: a program on this very machine, asked by a person on it.

export interface Caller {
  /** The address of the connection itself, never what a header claims. */
  readonly remoteAddress: string | undefined;
  readonly host: string | undefined;
  /** Any header that a proxy adds: behind a proxy on this machine every connection is local. */
  readonly forwarded: boolean;
  /** The browser's Sec-Fetch-Site. */
  readonly fetchSite: string | undefined;
}

const loopbackAddress = /^(?:(?:::ffff:)?127(?:\.\d{1,3}){3}|::1)$/i;
const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Why the caller is refused, or null. */
export function refusal({ remoteAddress, host, forwarded, fetchSite }: Caller): string | null {
  if (remoteAddress === undefined || !loopbackAddress.test(remoteAddress)) {
    return 'single members are shown only to programs on the machine that runs the api';
  }
  // A page of a foreign name that was pointed at 127.0.0.1 (DNS rebinding) comes from here, but asks for its own name.
  if (host === undefined || !loopbackHost.test(host)) {
    return 'single members are shown only under the names localhost, 127.0.0.1 and [::1]';
  }
  if (forwarded) return 'single members are not shown through a proxy';
  if (fetchSite === 'cross-site') return 'single members are not shown to pages of other sites';
  return null;
}
