import type { Pool } from '@leakage/postgres';

export interface AuditEntry {
  readonly action: 'read_timeline';
  readonly actor: string;
  readonly remoteAddress: string;
  readonly memberPid: string;
  readonly keyId: string;
  readonly purpose: string;
  readonly fields: readonly string[];
  readonly requestId: string;
}

export interface AuditStore {
  /** Returns when the entry is committed; whatever it records must not happen before. */
  write(entry: AuditEntry): Promise<void>;
}

export function auditStore(pool: Pool): AuditStore {
  return {
    write: async (entry) => {
      await pool.query(
        `insert into app.audit (action, actor, remote_address, member_pid, key_id, purpose, fields, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [
          entry.action,
          entry.actor,
          entry.remoteAddress,
          entry.memberPid,
          entry.keyId,
          entry.purpose,
          entry.fields,
          entry.requestId,
        ],
      );
    },
  };
}
