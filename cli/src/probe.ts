import { createConnection } from 'node:net';

const probeMs = 3_000;

/** Whether anything listens there; saves the half minute that a client takes to give up. Sockets in files are not tried. */
export function answersAt(url: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(url);
  if (hostname === '' || hostname.startsWith('%2F')) return Promise.resolve(true);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port || (protocol === 'kafka:' ? 9092 : 5432)) });
    socket.setTimeout(probeMs, () => socket.destroy());
    socket.once('connect', () => {
      resolve(true);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
