import { createConnection, createServer, type Socket } from 'node:net';

/**
 * Where a connection is cut: before its first statement reaches the server; in the middle of the data of a COPY; when COMMIT
 * was said and has not reached the server; when the server has applied it and its answer has not come back.
 */
export type Cut = 'at its first statement' | 'in COPY' | 'before COMMIT' | 'after COMMIT';

export interface PostgresProxy {
  /** The address of the same database, through the proxy. */
  readonly url: string;
  /** The next connection of this application that comes to such a place is cut there; resolves when that has happened. */
  readonly cutNext: (cut: Cut, application: string) => Promise<void>;
  /** The next COPY of this application stops half-way; resolves then, with what lets it go on. */
  readonly holdNextCopy: (application: string) => Promise<() => void>;
  /** Cuts every connection at once, wherever it is; the number of them. */
  readonly cutAll: () => number;
  /** Calls off what was ordered and has not happened; the number of those. */
  readonly callOff: () => number;
  readonly stop: () => Promise<void>;
}

interface Order {
  readonly place: Cut | 'hold in COPY';
  readonly application: string;
  readonly happened: (release: () => void) => void;
}

/** A TCP proxy on loopback that understands as much of Postgres' protocol as it takes to cut a connection at the worst moments. */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const target = new URL(databaseUrl);
  const links = new Set<Link>();
  let orders: Order[] = [];
  const take = (place: Order['place'], application: string): Order | undefined => {
    const order = orders.find((one) => one.place === place && one.application === application);
    orders = orders.filter((one) => one !== order);
    return order;
  };
  const server = createServer((client) => {
    const link = new Link(client, createConnection({ host: target.hostname, port: Number(target.port) }), take);
    links.add(link);
    link.onClosed(() => links.delete(link));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(address.port);
  const order = (place: Order['place'], application: string): Promise<() => void> =>
    new Promise((happened) => {
      orders.push({ place, application, happened });
    });
  return {
    url: url.href,
    cutNext: async (cut, application) => {
      await order(cut, application);
    },
    holdNextCopy: (application) => order('hold in COPY', application),
    cutAll: () => {
      const open = [...links];
      for (const link of open) link.cut();
      return open.length;
    },
    callOff: () => {
      const open = orders.splice(0);
      for (const one of open) one.happened(() => undefined);
      return open.length;
    },
    stop: async () => {
      for (const link of links) link.cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Take = (place: Order['place'], application: string) => Order | undefined;

const headerBytes = 5;
const types = { query: 0x51, copyData: 0x64 } as const;
const commit = Buffer.from('commit\0');

interface Place {
  readonly kind: 'FIRST' | 'COMMIT' | 'COPY';
  /** Bytes of the chunk that come before it; of a COPY: and a part of its data. */
  readonly at: number;
}

/** Follows what a client says, message by message; a message may be spread over several chunks. */
class ClientMessages {
  application = '';
  #started = false;
  #asked = false;
  /** A header of which the rest has not come yet. */
  #carry = Buffer.alloc(0);
  /** Bytes of the message under way that have not come yet. */
  #left = 0;

  /** The first place in this chunk at which a cut hurts. A COMMIT that is spread over two chunks is not seen. */
  follow(chunk: Buffer): Place | null {
    const carried = this.#carry.length;
    const bytes = Buffer.concat([this.#carry, chunk]);
    this.#carry = Buffer.alloc(0);
    let found: Place | null = null;
    for (let at = 0; at < bytes.length; ) {
      if (this.#left === 0) {
        if (bytes.length - at < headerBytes) {
          this.#carry = Buffer.from(bytes.subarray(at));
          break;
        }
        const place = this.#begin(bytes.subarray(at), at - carried);
        found ??= place;
      }
      const skipped = Math.min(this.#left, bytes.length - at);
      this.#left -= skipped;
      at += skipped;
    }
    return found;
  }

  #begin(message: Buffer, at: number): Place | null {
    if (!this.#started) {
      // The first message has no type: its length, the protocol's version, then names and values.
      this.#started = true;
      this.#left = message.readInt32BE(0);
      const words = message.subarray(8, this.#left).toString('utf8').split('\0');
      this.application = words[words.indexOf('application_name') + 1] ?? '';
      return null;
    }
    const length = message.readInt32BE(1);
    this.#left = length + 1;
    const body = message.subarray(headerBytes);
    if (message[0] === types.query && !this.#asked) {
      this.#asked = true;
      return { kind: 'FIRST', at };
    }
    if (message[0] === types.query && body.subarray(0, commit.length).equals(commit)) return { kind: 'COMMIT', at };
    if (message[0] !== types.copyData) return null;
    const half = Math.floor((length - 4) / 2);
    return { kind: 'COPY', at: Math.max(0, at + headerBytes + Math.min(half, body.length)) };
  }
}

/** One connection through the proxy. */
class Link {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #take: Take;
  readonly #said = new ClientMessages();
  /** COMMIT has been passed on; its answer will not be. */
  #deaf = false;

  constructor(client: Socket, server: Socket, take: Take) {
    this.#client = client;
    this.#server = server;
    this.#take = take;
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => this.cut());
      socket.on('close', () => this.cut());
    }
    client.on('data', (chunk) => this.#fromClient(chunk));
    server.on('data', (chunk) => {
      if (this.#deaf) this.cut();
      else pass(chunk, { from: server, to: client });
    });
  }

  onClosed(handler: () => void): void {
    this.#client.on('close', handler);
  }

  cut(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  #fromClient(chunk: Buffer): void {
    const place = this.#said.follow(chunk);
    if (place === null) this.#pass(chunk);
    else if (place.kind === 'FIRST') this.#first(chunk);
    else if (place.kind === 'COMMIT') this.#commit(chunk);
    else this.#copy(chunk, place.at);
  }

  #first(chunk: Buffer): void {
    const first = this.#take('at its first statement', this.#said.application);
    if (first === undefined) {
      this.#pass(chunk);
      return;
    }
    this.cut();
    first.happened(() => undefined);
  }

  #commit(chunk: Buffer): void {
    const before = this.#take('before COMMIT', this.#said.application);
    if (before !== undefined) {
      this.cut();
      before.happened(() => undefined);
      return;
    }
    const after = this.#take('after COMMIT', this.#said.application);
    if (after !== undefined) {
      this.#deaf = true;
      this.onClosed(() => after.happened(() => undefined));
    }
    this.#pass(chunk);
  }

  #copy(chunk: Buffer, half: number): void {
    const cut = this.#take('in COPY', this.#said.application);
    if (cut !== undefined) {
      this.#server.write(chunk.subarray(0, half), () => this.cut());
      cut.happened(() => undefined);
      return;
    }
    const hold = this.#take('hold in COPY', this.#said.application);
    if (hold === undefined) {
      this.#pass(chunk);
      return;
    }
    this.#client.pause();
    this.#server.write(chunk.subarray(0, half));
    hold.happened(() => {
      this.#pass(chunk.subarray(half));
      this.#client.resume();
    });
  }

  #pass(chunk: Buffer): void {
    pass(chunk, { from: this.#client, to: this.#server });
  }
}

/** Whoever sends faster than the other side takes is made to wait. */
function pass(chunk: Buffer, { from, to }: { from: Socket; to: Socket }): void {
  if (to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
