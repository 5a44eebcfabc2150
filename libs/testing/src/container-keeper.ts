// Waits for the end of the process that holds the other end of its standard input, and then removes the containers of
// the owner that is named in its argument.
import { once } from 'node:events';
import { removeContainers } from './docker-servers.ts';

const [, , owner] = process.argv;
if (owner === undefined) throw new Error('usage: container-keeper.ts <owner>');
process.stdin.resume();
await once(process.stdin, 'end');
await removeContainers(owner);
process.exit();
