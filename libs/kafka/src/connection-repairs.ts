import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/** What is used of a connection of kafkajs to a broker, which outlives its sockets. */
interface Connection {
  readonly host: string;
  readonly port: number;
  socket?: Socket;
  /** What has come of an answer that is not yet whole. */
  chunks: Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  authHandlers: { onError(): void } | null;
  readonly requestQueue: { rejectAll(error: Error): void };
  readonly isConnected: () => boolean;
  connect: (this: Connection) => Promise<true>;
}

interface Errors {
  readonly KafkaJSConnectionClosedError: new (message: string, at: { host: string; port: number }) => Error;
}

const require = createRequire(import.meta.url);
const { KafkaJSConnectionClosedError } = require('kafkajs/src/errors') as Errors;
const sizeBytes = 4;
let repaired = false;

/**
 * A connection of kafkajs 2.2.4 that is made anew remembers too much of the one before: the half of an answer, behind which
 * no further answer is ever understood; the events of the old socket, which end the new one; and a login that nobody will
 * answer. Each of them is a consumer that waits until its watchdog ends it. Here a new socket begins with nothing, there is
 * one at a time, and nobody waits for one that is closed.
 */
export function repairConnections(): void {
  if (repaired) return;
  repaired = true;
  const { prototype } = require('kafkajs/src/network/connection') as { readonly prototype: Connection };
  const { connect } = prototype;
  const underWay = new WeakMap<Connection, Promise<true>>();
  prototype.connect = function connectAfresh(this: Connection) {
    if (this.isConnected()) return Promise.resolve(true);
    const already = underWay.get(this);
    if (already !== undefined) return already;
    forget(this);
    const connecting = connect.call(this).finally(() => underWay.delete(this));
    underWay.set(this, connecting);
    const { socket } = this;
    socket?.once('close', () => {
      if (this.socket === socket) abandon(this);
    });
    return connecting;
  };
}

/** Whoever waits for an answer on a socket that is gone hears that it is gone. */
function abandon(connection: Connection): void {
  const { host, port } = connection;
  connection.authHandlers?.onError();
  connection.requestQueue.rejectAll(new KafkaJSConnectionClosedError('Closed connection', { host, port }));
}

function forget(connection: Connection): void {
  const { socket } = connection;
  socket?.removeAllListeners();
  socket?.on('error', () => undefined); // of a socket that nobody uses any more
  socket?.destroy();
  connection.chunks = [];
  connection.bytesBuffered = 0;
  connection.bytesNeeded = sizeBytes;
}
