export type RoleName = 'bronze' | 'silver' | 'gold' | 'api' | 'reader';

interface RoleSpec {
  readonly name: RoleName;
  /** Who logs in with it. */
  readonly user: string;
  /** Of a new role: what a process opens at most, times the processes that one server is likely to serve. */
  readonly connections: number;
  /** Of its sessions in this database, where nobody has set others. Services set their own limits. */
  readonly settings: Readonly<Record<string, string>>;
}

/** One login for each process that talks to Postgres (the generator does not), and one for people who ask questions. */
export const roleTable: readonly RoleSpec[] = [
  { name: 'bronze', user: 'bronze-sink', connections: 16, settings: {} },
  { name: 'silver', user: 'silver-joiner', connections: 20, settings: {} },
  { name: 'gold', user: 'gold-aggregator', connections: 12, settings: {} },
  { name: 'api', user: 'api', connections: 32, settings: {} },
  {
    name: 'reader',
    user: 'analysts',
    connections: 10,
    settings: {
      default_transaction_read_only: 'on',
      statement_timeout: '60s',
      // A transaction that somebody has forgotten keeps Postgres from clearing away what is old.
      idle_in_transaction_session_timeout: '60s',
    },
  },
];

/** Roles belong to a whole server: `prefix` tells installations apart that share one. */
export function roleNames(prefix: string): Readonly<Record<RoleName, string>> {
  const of = (name: RoleName): string => `${prefix}_${name}`;
  return { bronze: of('bronze'), silver: of('silver'), gold: of('gold'), api: of('api'), reader: of('reader') };
}
