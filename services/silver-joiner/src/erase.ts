import type { Eraser, Identities, Removed } from './eraser.ts';

/** A part of an erasure, as a line of JSON. */
type Order =
  | { readonly what: 'member' | 'contents' | 'trim'; readonly memberId: string }
  | ({ readonly what: 'identities' } & Identities);

/** What was done: versions that were removed, contents that were, or the readers of the change log that are waited for. */
export type Answer = Removed | { readonly contents: number } | { readonly unread: readonly string[] };

/** Throws RangeError for a line that is no order. */
export async function carryOut(eraser: Eraser, line: string): Promise<Answer> {
  const order = orderOf(line);
  switch (order.what) {
    case 'member':
      return await eraser.removeMember(order.memberId);
    case 'identities':
      return await eraser.removeIdentities(order);
    case 'contents':
      return { contents: await eraser.removeContents(order.memberId) };
    case 'trim':
      return { unread: await eraser.trim(order.memberId) };
  }
}

function orderOf(line: string): Order {
  const { what, memberId, journeys, calls } = fieldsOf(line);
  const texts = (value: unknown): value is string[] =>
    Array.isArray(value) && value.every((one) => typeof one === 'string');
  if (what === 'identities' && texts(journeys) && texts(calls)) return { what, journeys, calls };
  const ofMember = what === 'member' || what === 'contents' || what === 'trim';
  if (ofMember && typeof memberId === 'string' && memberId !== '') return { what, memberId };
  throw new RangeError('this is no order of an erasure');
}

function fieldsOf(line: string): Partial<Record<'what' | 'memberId' | 'journeys' | 'calls', unknown>> {
  try {
    return (JSON.parse(line) as Record<string, unknown> | null) ?? {};
  } catch {
    return {}; // the error would quote the line, and with it the member
  }
}
