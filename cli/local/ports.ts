import { createServer, type Server } from 'node:net';

/**
 * As many different free ports on 127.0.0.1 as wishes: the wished one where it is free, else (and for 0) any.
 * All are held until the last is chosen, because the kernel may give a port that was let go to the next who asks.
 */
export async function freePorts(wishes: readonly number[]): Promise<number[]> {
  const held: Server[] = [];
  try {
    for (const wish of wishes) held.push((wish > 0 ? await listen(wish) : null) ?? (await anyPort()));
    return held.map(portOf);
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Whether somebody could listen on this port now. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = await listen(port, host);
  if (server) await new Promise((resolve) => server.close(resolve));
  return server !== null;
}

async function anyPort(): Promise<Server> {
  const server = await listen(0);
  if (server === null) throw new Error('no port is free on 127.0.0.1');
  return server;
}

function listen(port: number, host = '127.0.0.1'): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('a server without a port');
  return address.port;
}
