// Outlives whoever launched servers, and stops them when that process is gone, however it went. It is told of every
// launch by a line on standard input, which ends with its parent.
import { createInterface } from 'node:readline';
import { type LaunchRecord, parseRecord, stopRecorded } from './launch-record.ts';
import { isAlive } from './process-identity.ts';

let records: LaunchRecord[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  const record = parseRecord(line);
  records = [...records.filter(isAlive), ...(record ? [record] : [])];
}
await stopRecorded(records);
