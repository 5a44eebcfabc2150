import { statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { codeOf } from './problem.ts';

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

export interface MachineSize {
  readonly memoryBytes: number;
  readonly freeDiskBytes: number;
  readonly sharedMemoryBytes: number;
}

export function machineSize(dataDir: string): MachineSize {
  const disk = statfsSync(dataDir);
  const limit = process.constrainedMemory();
  return {
    memoryBytes: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
    freeDiskBytes: disk.bavail * disk.bsize,
    sharedMemoryBytes: sharedMemory(),
  };
}

/** Few checkpoints and much cache, because the load is one long stream of writes; never more than the machine has. */
export function postgresSettings(size: MachineSize): Record<string, string | number> {
  const sharedBuffers = Math.min(Math.max(size.memoryBytes / 8, 128 * MiB), 4 * GiB);
  const maxWal = Math.min(Math.max(size.freeDiskBytes / 4, GiB), 8 * GiB);
  return {
    shared_buffers: `${Math.round(sharedBuffers / MiB)}MB`,
    max_wal_size: `${Math.round(maxWal / MiB)}MB`,
    checkpoint_timeout: '30min',
    jit: 'off',
    autovacuum: 'on',
    autovacuum_naptime: '15s',
    autovacuum_vacuum_scale_factor: 0.1,
    max_connections: 200,
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
    // A container often has 64 MB of /dev/shm, where a parallel query would fail.
    dynamic_shared_memory_type: size.sharedMemoryBytes < 256 * MiB ? 'mmap' : 'posix',
  };
}

function sharedMemory(): number {
  if (process.platform !== 'linux') return Number.POSITIVE_INFINITY;
  try {
    const shm = statfsSync('/dev/shm');
    return shm.blocks * shm.bsize;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}
