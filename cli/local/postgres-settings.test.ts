import { expect, test } from 'vitest';
import { postgresSettings } from './postgres-settings.ts';

const GiB = 1024 ** 3;

test.each([
  { memoryGiB: 1, diskGiB: 2, shmGiB: 0.0625, shared: '128MB', wal: '1024MB', dynamic: 'mmap' },
  { memoryGiB: 8, diskGiB: 20, shmGiB: 4, shared: '1024MB', wal: '5120MB', dynamic: 'posix' },
  { memoryGiB: 128, diskGiB: 500, shmGiB: 64, shared: '4096MB', wal: '8192MB', dynamic: 'posix' },
])('$memoryGiB GiB of memory, $diskGiB of disk: $shared of cache, $wal of log', (o) => {
  const settings = postgresSettings({
    memoryBytes: o.memoryGiB * GiB,
    freeDiskBytes: o.diskGiB * GiB,
    sharedMemoryBytes: o.shmGiB * GiB,
  });
  expect(settings).toMatchObject({
    shared_buffers: o.shared,
    max_wal_size: o.wal,
    dynamic_shared_memory_type: o.dynamic,
    checkpoint_timeout: '30min',
    jit: 'off',
    autovacuum: 'on',
  });
});
