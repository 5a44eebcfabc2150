import { userInfo } from 'node:os';
import type { Queryable } from '@leakage/postgres';
import type { Position } from './position.ts';

export interface Disclosure {
  readonly command: 'show' | 'conflicts';
  readonly purpose: string | null;
}

/** Records who is about to see these records. Returns when that is committed: nothing may be shown before. */
export async function disclose(db: Queryable, records: readonly Position[], o: Disclosure): Promise<void> {
  await db.query(
    `insert into ops.disclosure (command, kafka_topic, kafka_partition, kafka_offset, system_user_name, purpose)
     select $1, topic, partition, "offset", $5, $6
       from unnest($2::text[], $3::int[], $4::bigint[]) as k (topic, partition, "offset")`,
    [
      o.command,
      records.map((one) => one.topic),
      records.map((one) => one.partition),
      records.map((one) => one.offset),
      systemUserName(),
      o.purpose,
    ],
  );
}

function systemUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`; // a container's user need not have a name
  }
}
