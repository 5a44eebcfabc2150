import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A place for files of which the space can be used up and given back. */
export interface SmallDisk {
  readonly folder: string;
  /** Whether it is a file system of its own. If not, `fill` limits the size of the files of the given processes instead. */
  readonly mounted: boolean;
  readonly fill: (leaveBytes?: number) => void;
  readonly free: () => void;
  readonly remove: () => void;
}

export interface SmallDiskOptions {
  readonly folder: string;
  readonly bytes: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Where nothing may be mounted: who meets the limit, and the size of a file that none of them may pass. */
  readonly processes: () => readonly number[];
  readonly fileBytesMax: number;
}

/**
 * A small tmpfs; where this user may not mount one, a limit on the size of files (prlimit --fsize), which Postgres and node
 * meet as an error like that of a full disk. Which of them it is, is printed: a run must not look like more than it was.
 */
export function smallDisk(o: SmallDiskOptions): SmallDisk {
  const { folder } = o;
  unmount(folder); // what a killed run left behind
  mkdirSync(folder, { recursive: true });
  const mounted = mount(o);
  console.log(
    `The full disk is ${mounted ? `a tmpfs of ${o.bytes} bytes` : `a limit of ${o.fileBytesMax} bytes a file`}`,
  );
  const filler = join(folder, 'filler');
  const limit = (bytes: number | 'unlimited') => {
    for (const pid of o.processes()) limitFiles(pid, bytes, o.owner);
  };
  return {
    folder,
    mounted,
    fill: (leaveBytes = 0) => (mounted ? fillUp(filler, o.bytes, leaveBytes) : limit(o.fileBytesMax)),
    free: () => (mounted ? rmSync(filler, { force: true }) : limit('unlimited')),
    remove: () => {
      if (mounted) unmount(folder);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As their user: even root may need a capability for the processes of others. Only the soft limit, which can be raised. */
function limitFiles(pid: number, bytes: number | 'unlimited', owner: SmallDiskOptions['owner']): void {
  try {
    execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:`], { ...owner });
  } catch (error) {
    if (existsSync(`/proc/${pid}`)) throw error; // else it has just ended
  }
}

function mount({ folder, bytes, owner }: SmallDiskOptions): boolean {
  const options = [`size=${bytes}`, 'mode=0700', ...(owner ? [`uid=${owner.uid}`, `gid=${owner.gid}`] : [])];
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options.join(','), 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function unmount(folder: string): void {
  try {
    execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
  } catch {
    // Nothing was mounted there.
  }
}

function fillUp(filler: string, bytes: number, leaveBytes: number): void {
  try {
    writeFileSync(filler, Buffer.alloc(bytes));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  }
  if (leaveBytes > 0) truncateSync(filler, Math.max(0, statSync(filler).size - leaveBytes));
}
