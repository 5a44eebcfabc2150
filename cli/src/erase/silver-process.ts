import { startSilverChild } from '../silver-child.ts';
import type { Identities } from './erasure-store.ts';

/** One transaction, and all that it may have to be run again. */
const answerWithinMs = 600_000;

/** A part of an erasure; what silver-joiner knows of it is in its erase.ts. */
type Order =
  | { readonly what: 'member' | 'contents' | 'trim'; readonly memberId: string }
  | ({ readonly what: 'identities' } & Identities);

export interface Removed {
  readonly journeys: number;
  readonly calls: number;
  readonly members: number;
  readonly changes: number;
}

/** Has silver-joiner itself remove what was erased from a generation. */
export interface SilverProcess {
  removeMember(memberId: string): Promise<Removed>;
  removeIdentities(identities: Identities): Promise<Removed>;
  removeContents(memberId: string): Promise<{ readonly contents: number }>;
  /** Who has not read all of the change log. */
  trim(memberId: string): Promise<{ readonly unread: readonly string[] }>;
  stop(): Promise<void>;
}

export function startSilver(generation: number): SilverProcess {
  const does = `removes what generation ${generation} has`;
  const child = startSilverChild('--erase', { generation, does, answerWithinMs });
  const ask = async <T>(order: Order): Promise<T> => {
    const [answer] = await child.ask<T>([JSON.stringify(order)]);
    if (answer === undefined) throw new Error('silver-joiner has answered nothing');
    return answer;
  };
  return {
    removeMember: (memberId) => ask({ what: 'member', memberId }),
    removeIdentities: (identities) => ask({ what: 'identities', ...identities }),
    removeContents: (memberId) => ask({ what: 'contents', memberId }),
    trim: (memberId) => ask({ what: 'trim', memberId }),
    stop: () => child.stop(),
  };
}
