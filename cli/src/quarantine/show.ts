import { isUtf8 } from 'node:buffer';
import type { Pool } from '@leakage/postgres';
import type { Reading } from '@leakage/registry';
import type { Source } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';
import { BronzeStore } from './bronze-store.ts';
import { disclose } from './disclosure-store.ts';
import { type Position, positionText } from './position.ts';
import { QuarantineStore } from './quarantine-store.ts';
import { type Repair, RepairStore } from './repair-store.ts';
import { inWords } from './words.ts';

/** All that is known about one record of the quarantine, the person in it included. */
export interface Shown {
  readonly position: string;
  readonly generation: number;
  readonly source: Source;
  /** ISO 8601; null: Kafka's time is none of the calendar. */
  readonly receivedAt: string | null;
  readonly reasons: readonly { readonly reason: string; readonly words: string }[];
  readonly status: string;
  readonly attempts: number;
  readonly run: string | null;
  /** Where the repaired record is. */
  readonly repairedAs: string | null;
  /** Why it was discarded. */
  readonly discardedFor: string | null;
  readonly resolvedBy: string | null;
  readonly resolvedAt: string | null;
  /** From here on null where bronze has not read the record yet. */
  readonly key: string | null;
  readonly headers: Readonly<Record<string, unknown>> | null;
  readonly sourceFile: string | null;
  readonly bytes: number | null;
  readonly hex: string | null;
  /** Null where the bytes are no UTF-8 text. */
  readonly text: string | null;
  /** What the contract reads, as far as it goes. */
  readonly decoded: object | null;
  /** The fields as the producer has named and sent them; what a fix works on. */
  readonly asSent: object | null;
}

export interface ShowOptions {
  readonly pool: Pool;
  readonly generation: number;
  readonly schemas: { readonly bronze: string; readonly silver: string };
  readonly reading: Reading;
  readonly purpose: string | null;
}

/** Reads everything about a record, after it was written down who asks for it. Throws CommandError when it is not there. */
export async function show(position: Position, o: ShowOptions): Promise<Shown> {
  const at = positionText(position);
  const record = await new QuarantineStore(o.pool, o.schemas.silver).find(position);
  if (record === null) {
    throw new CommandError(
      `${at} is not in the quarantine of generation ${o.generation}: leakage quarantine list --json names positions.`,
    );
  }
  await disclose(o.pool, [position], { command: 'show', purpose: o.purpose });
  const { source, payload, reasons } = record;
  const repair = await new RepairStore(o.pool).find(position);
  const envelope = (await new BronzeStore(o.pool, o.schemas.bronze).envelopes(source, [position])).get(at);
  await o.reading.learn([{ source, records: [{ value: payload }] }]);
  const reader = o.reading.readers[source];
  return {
    position: at,
    generation: o.generation,
    source,
    receivedAt: iso(record.receivedAt),
    reasons: reasons.map((reason) => ({ reason, words: inWords(reason) })),
    ...repairOf(repair),
    key:
      envelope?.key === null || envelope === undefined
        ? null
        : (textOf(envelope.key) ?? `0x${envelope.key.toString('hex')}`),
    headers: envelope?.headers ?? null,
    sourceFile: envelope?.sourceFile ?? null,
    bytes: payload?.length ?? null,
    hex: payload?.toString('hex') ?? null,
    text: payload === null ? null : textOf(payload),
    decoded: reader.decode(payload).event,
    asSent: reader.asSent(payload),
  };
}

function repairOf(repair: Repair | null) {
  const { repairedTopic, repairedPartition, repairedOffset } = repair ?? {};
  const isSent = typeof repairedTopic === 'string' && typeof repairedPartition === 'number';
  return {
    status: repair?.status ?? 'open',
    attempts: repair?.attempts ?? 0,
    run: repair?.run ?? null,
    repairedAs: isSent
      ? positionText({ topic: repairedTopic, partition: repairedPartition, offset: repairedOffset ?? 0 })
      : null,
    discardedFor: repair?.reason ?? null,
    resolvedBy: repair?.resolvedBy ?? null,
    resolvedAt: iso(repair?.resolvedAt ?? null),
  };
}

function textOf(bytes: Buffer): string | null {
  return isUtf8(bytes) && !bytes.includes(0) ? bytes.toString('utf8') : null;
}

function iso(ms: number | null): string | null {
  return ms === null || !Number.isFinite(ms) ? null : new Date(ms).toISOString();
}
