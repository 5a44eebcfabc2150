import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { KafkaTls } from './client-options.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a listener of a broker speaks. */
export interface Listener {
  readonly tls: boolean;
  /** The SASL mechanisms that it offers; null where nobody has to log in, undefined where it did not say. */
  readonly mechanisms: readonly string[] | null | undefined;
}

const answerMs = 4_000;
const answerBytesMax = 4_096;
const saslHandshake = 17;
const correlationId = 0x4c_43_43_31;
const illegalSaslState = 34;

/**
 * Asks a listener what it speaks, with TLS and without, by the one question that every listener answers before anybody has
 * logged in. Null when nobody answers, or nobody who speaks Kafka. For sentences about connections that have failed.
 */
export async function probeListener(address: Address, tls: KafkaTls | null): Promise<Listener | null> {
  const secure = async (): Promise<Listener | null> => {
    // Whatever its certificate is: nothing is entrusted to it.
    const { handshake, answer } = await ask(address, { ...tls, rejectUnauthorized: false });
    if (answer !== null) return { tls: true, mechanisms: mechanismsOf(answer) };
    return handshake ? { tls: true, mechanisms: undefined } : null;
  };
  const plain = async (): Promise<Listener | null> => {
    const { answer } = await ask(address, null);
    return answer === null ? null : { tls: false, mechanisms: mechanismsOf(answer) };
  };
  return (await plain()) ?? (await secure());
}

interface Asked {
  /** Whether it has answered to TLS as TLS. */
  readonly handshake: boolean;
  readonly answer: Buffer | null;
}

function ask({ host, port }: Address, tls: (KafkaTls & { rejectUnauthorized: false }) | null): Promise<Asked> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let handshake = false;
    const servername = isIP(host) === 0 ? { servername: host } : {};
    const socket: Socket =
      tls === null ? connectPlain({ host, port }) : connectTls({ host, port, ...servername, ...tls });
    socket.setTimeout(answerMs, () => socket.destroy());
    socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      handshake = tls !== null;
      socket.write(question());
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length > answerBytesMax || wholeAnswer(received) !== null) socket.destroy();
    });
    socket.on('error', () => undefined); // 'close' follows, and there is nothing to tell but what has come
    socket.once('close', () => resolve({ handshake, answer: wholeAnswer(received) }));
  });
}

/** SaslHandshake, version 1, for a mechanism that nobody has: the answer names those that there are. */
function question(): Buffer {
  const body = Buffer.concat([int16(saslHandshake), int16(1), int32(correlationId), text('leakage'), text('NONE')]);
  return Buffer.concat([int32(body.length), body]);
}

function wholeAnswer(received: Buffer): Buffer | null {
  if (received.length < 10) return null;
  const length = received.readInt32BE(0);
  if (length < 6 || length > answerBytesMax || received.length < 4 + length) return null;
  return received.readInt32BE(4) === correlationId ? received.subarray(8, 4 + length) : null;
}

function mechanismsOf(answer: Buffer): string[] | null {
  if (answer.readInt16BE(0) === illegalSaslState) return null;
  const names: string[] = [];
  if (answer.length < 6) return names;
  let at = 6;
  for (let left = answer.readInt32BE(2); left > 0 && at + 2 <= answer.length; left -= 1) {
    const length = answer.readInt16BE(at);
    names.push(answer.toString('utf8', at + 2, at + 2 + length));
    at += 2 + length;
  }
  return names;
}

const int16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
};
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([int16(value.length), Buffer.from(value)]);
