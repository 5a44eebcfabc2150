import { columnsRead } from '@leakage/diff';
import type { RoleName } from './role-table.ts';

/** One thing that a role may do. `on` and `name` as in GRANT; `column` where it is about one column only. */
export interface Right {
  readonly role: RoleName | 'public';
  readonly on: 'database' | 'schema' | 'table' | 'function';
  readonly name: string;
  readonly column: string | null;
  readonly privilege: string;
}

/** The names of what exists: rights are given to things by name, so that nothing new is open to anybody by accident. */
export interface Catalog {
  /** null: it belongs to somebody else, who alone says who may connect to it. */
  readonly database: string | null;
  readonly bronze: string;
  /** The stable schema of the published views. */
  readonly gold: string;
  /** Those generations whose schemas exist. */
  readonly generations: readonly { readonly silver: string | null; readonly gold: string | null }[];
  /** `schema.name` of each view. */
  readonly views: readonly string[];
  /** `schema.name` and signature, as GRANT wants it. */
  readonly functions: readonly { readonly name: string; readonly signature: string }[];
}

const bronzeTables = ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw'];
const cubes = ['call_cube', 'journey_cube', 'member_cube', 'error_message_cube'];
/** What the functions behind gold's views read; a function reads with the rights of whoever asks. Counts and settings. */
const readByFunctions = {
  gold: ['call_cube', 'journey_cube', 'member_cube', 'this_generation'],
  ops: ['generation', 'shard', 'reader', 'parameter'],
};
const moved = ['next_offset', 'last_offset', 'last_fingerprint', 'holes', 'updated_at'];
const counted = ['accepted', 'superseded', 'duplicates', 'conflicts', 'quarantined'];
const registered = ['pipeline', 'topic', 'partition', 'first_offset', 'next_offset', 'cluster_id'];
/** A record as it was received. */
const archived = [
  'kafka_topic',
  'kafka_partition',
  'kafka_offset',
  'kafka_timestamp',
  'kafka_key',
  'payload',
  // Whether it was erased.
  'decode_error',
];
const placed = ['kafka_topic', 'kafka_partition', 'kafka_offset'];
const audited = ['action', 'actor', 'remote_address', 'member_pid', 'key_id', 'purpose', 'fields', 'request_id'];

/** The only view of gold that shows single members. */
const ofMembers = 'journey_timeline';

/**
 * Everything that the roles may do: what each service's statements need, and nothing else (law 9). Who may write which rows of
 * ops.position and ops.shard is in `policies`.
 */
export function wantedRights(catalog: Catalog): Right[] {
  const rights: Right[] = [];
  const may = (
    role: RoleName,
    privileges: string,
    on: Right['on'],
    names: readonly string[],
    columns?: readonly string[],
  ) => {
    for (const name of names)
      for (const privilege of privileges.split(' '))
        for (const column of columns ?? [null]) rights.push({ role, on, name, column, privilege });
  };
  const inSchema = (schema: string, names: readonly string[]) => names.map((name) => `${schema}.${name}`);
  const functionsOf = (schema: string, names?: readonly string[]) =>
    catalog.functions
      .filter(({ name }) =>
        names === undefined ? name.startsWith(`${schema}.`) : inSchema(schema, names).includes(name),
      )
      .map(({ signature }) => signature);
  const viewsOf = (schema: string) => catalog.views.filter((view) => view.startsWith(`${schema}.`));
  const { bronze } = catalog;
  const database = catalog.database === null ? [] : [catalog.database];

  for (const role of ['bronze', 'silver', 'gold', 'api', 'reader'] as const) {
    may(role, 'CONNECT', 'database', database);
  }
  for (const role of ['bronze', 'silver', 'gold', 'api'] as const) {
    may(role, 'USAGE', 'schema', ['ops']);
    may(role, 'SELECT', 'table', ['ops.migrations']);
  }

  may('bronze', 'USAGE', 'schema', [bronze]);
  may('bronze', 'SELECT', 'table', [`${bronze}.migrations`]);
  may('bronze', 'INSERT', 'table', inSchema(bronze, bronzeTables));
  // What is there, for a replay that adds what is not; never what it holds.
  may('bronze', 'SELECT', 'table', inSchema(bronze, bronzeTables), placed);
  may('bronze', 'EXECUTE', 'function', functionsOf(bronze, ['missing_days', 'make_partition']));

  for (const role of ['bronze', 'silver'] as const) {
    may(role, 'SELECT', 'table', ['ops.position']);
    may(role, 'INSERT', 'table', ['ops.position'], registered);
    may(role, 'UPDATE', 'table', ['ops.position'], [...moved, ...counted]);
    may(role, 'EXECUTE', 'function', functionsOf('ops', ['advance']));
    // Replays: what they are to read, and what was lost and is found again.
    may(role, 'SELECT', 'table', ['ops.replay', 'ops.loss']);
    // What is refused although it is valid.
    may(role, 'SELECT', 'table', ['ops.policy', 'ops.erased']);
    may(role, 'EXECUTE', 'function', functionsOf('ops', ['mend_loss', 'trim_loss']));
    // What retention has removed from bronze: not to be filled in again, and not missing.
    may(role, 'SELECT', 'table', ['ops.bronze_dropped']);
  }
  for (const role of ['bronze', 'silver'] as const) may(role, 'SELECT INSERT UPDATE', 'table', ['ops.writer_schema']);
  for (const role of ['silver', 'gold'] as const) {
    may(role, 'SELECT', 'table', ['ops.generation', 'ops.shard', 'ops.reader']);
    may(role, 'EXECUTE', 'function', functionsOf('ops', ['publish', 'view_columns']));
  }

  // A generation that is built anew may begin with what Kafka has forgotten.
  may('silver', 'USAGE', 'schema', [bronze]);
  may('silver', 'SELECT', 'table', inSchema(bronze, bronzeTables), archived);
  may('silver', 'EXECUTE', 'function', functionsOf(bronze, ['summarise']));
  may('silver', 'UPDATE', 'table', ['ops.generation'], ['caught_up_at']);
  // Its staging tables are temporary ones.
  may('silver', 'TEMPORARY', 'database', database);
  may('silver', 'UPDATE', 'table', ['ops.shard'], ['state_version', 'change_seq', 'wm_digital', 'wm_calls']);
  // What the change stream has told: rows of its own there, by its policy.
  may('silver', 'INSERT', 'table', ['ops.reader'], ['reader', 'generation', 'shard', 'next_seq', 'turn']);
  may('silver', 'UPDATE', 'table', ['ops.reader'], ['next_seq']);
  may('silver', 'DELETE', 'table', ['ops.reader']);
  // For the locks of a recount; its policy lets no new value through.
  may('gold', 'UPDATE', 'table', ['ops.shard'], ['state_version']);
  may('gold', 'INSERT DELETE', 'table', ['ops.reader']);
  may('gold', 'UPDATE', 'table', ['ops.reader'], ['next_seq']);
  may('gold', 'SELECT INSERT UPDATE', 'table', ['ops.parameter']);
  // What is too old, and which days silver does not have whole.
  for (const role of ['silver', 'gold'] as const) may(role, 'SELECT', 'table', ['ops.horizon']);

  may('api', 'USAGE', 'schema', ['app', catalog.gold]);
  may('api', 'SELECT', 'table', ['app.migrations', 'ops.position', 'ops.promotion']);
  may('api', 'SELECT', 'table', ['ops.verification', 'ops.left_out_verification', 'ops.horizon', 'ops.retention_run']);
  may('api', 'INSERT', 'table', ['app.audit'], audited);
  may('reader', 'USAGE', 'schema', [catalog.gold]);
  may(
    'reader',
    'SELECT',
    'table',
    viewsOf(catalog.gold).filter((view) => view !== `${catalog.gold}.${ofMembers}`),
  );
  for (const role of ['api', 'reader'] as const) may(role, 'SELECT', 'table', inSchema('ops', readByFunctions.ops));

  for (const { silver, gold } of catalog.generations) {
    if (silver !== null) {
      may('silver', 'USAGE', 'schema', [silver]);
      may('silver', 'SELECT', 'table', [`${silver}.migrations`]);
      may('silver', 'SELECT INSERT UPDATE', 'table', inSchema(silver, ['journey_event', 'call', 'member_profile']));
      may('silver', 'SELECT INSERT UPDATE DELETE', 'table', inSchema(silver, ['call_fact', 'journey_outcome']));
      may('silver', 'SELECT INSERT DELETE', 'table', inSchema(silver, ['conflict_record', 'change_log']));
      may('silver', 'INSERT', 'table', [`${silver}.quarantine_record`]);
      may('gold', 'USAGE', 'schema', [silver]);
      may(
        'gold',
        'SELECT',
        'table',
        inSchema(silver, ['change_log', 'call_fact', 'journey_outcome', 'member_profile']),
      );
      // What a diff of two generations compares call by call: no column that names a member.
      may('api', 'USAGE', 'schema', [silver]);
      for (const [table, columns] of Object.entries(columnsRead)) {
        may('api', 'SELECT', 'table', [`${silver}.${table}`], columns);
      }
    }
    if (gold !== null) {
      may('gold', 'USAGE', 'schema', [gold]);
      may('gold', 'SELECT', 'table', [`${gold}.migrations`]);
      may('gold', 'SELECT INSERT UPDATE DELETE', 'table', inSchema(gold, cubes));
      const thisGeneration = [`${gold}.this_generation`];
      may('gold', 'SELECT', 'table', thisGeneration, ['closed_before']);
      may('gold', 'UPDATE', 'table', thisGeneration, ['folded_at', 'wm_digital', 'wm_calls', 'closed_before']);
      may('gold', 'SELECT INSERT', 'table', [`${gold}.closed_day`]);
      may('api', 'USAGE', 'schema', [gold]);
      may('api', 'SELECT', 'table', viewsOf(gold));
      for (const role of ['api', 'reader'] as const) {
        may(role, 'SELECT', 'table', inSchema(gold, readByFunctions.gold));
        may(role, 'EXECUTE', 'function', functionsOf(gold));
      }
    }
  }
  return rights;
}

/** A rule about rows, as Postgres writes it down; `check` null: the same as `using`. */
export interface Policy {
  readonly role: RoleName;
  readonly table: string;
  readonly command: 'ALL' | 'UPDATE';
  readonly using: string;
  readonly check: string | null;
}

/** Its pipelines, and those of its replays. */
const ofBronze = "((pipeline = 'bronze'::text) OR starts_with(pipeline, 'bronze_replay_'::text))";
const ofSilver = "starts_with(pipeline, 'silver_'::text)";

/**
 * Each pipeline moves its own positions, each reader of the change log its own; gold locks shards and changes none. Evaluated for every row of every batch: cheap. In
 * the order in which a batch takes the tables.
 */
export const policies: readonly Policy[] = [
  { role: 'silver', table: 'ops.shard', command: 'UPDATE', using: 'true', check: null },
  { role: 'gold', table: 'ops.shard', command: 'UPDATE', using: 'true', check: 'false' },
  { role: 'silver', table: 'ops.reader', command: 'ALL', using: "(reader = 'changes'::text)", check: null },
  { role: 'gold', table: 'ops.reader', command: 'ALL', using: "(reader = 'gold'::text)", check: null },
  { role: 'bronze', table: 'ops.position', command: 'ALL', using: ofBronze, check: null },
  { role: 'silver', table: 'ops.position', command: 'ALL', using: ofSilver, check: null },
];
