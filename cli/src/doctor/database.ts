import { type Pool, sqlState } from '@leakage/postgres';
import { generationSettings, loadSettings, readEnvironment, schemaSettings, timeZoneSettings } from '@leakage/runtime';
import { missingStatements } from '../init/grants.ts';
import { existingRoles } from '../init/roles.ts';
import { checkService, owningServices } from '../service-once.ts';
import { newestRecord } from '../status/layers.ts';
import { type Check, no, note, ok } from './check.ts';

/** What one process of each service opens at most, and a command beside them. */
const connectionsWanted = 24;
/** The most that one of them opens: the api. */
const oneServiceWants = 8;
const clockNoteMs = 2_000;
const clockWrongMs = 30_000;
/** Silver quarantines what is dated further ahead of the record's own time. */
const kafkaAheadMs = 60_000;

/** What can be wrong with a database that answers. Changes nothing. */
export async function databaseChecks(pool: Pool, rolePrefix: string): Promise<Check[]> {
  const login = await loginOf(pool);
  return [
    ...(await connections(pool)),
    await clock(pool),
    await kafkaClock(pool),
    await timeZone(pool),
    login.check,
    ...(await schemas(login)),
    ...(await rights(pool, rolePrefix, login)),
  ].filter((check) => check !== null);
}

interface Login {
  readonly name: string;
  /** May make schemas, so that services that log in with it make what they need. */
  readonly owns: boolean;
  readonly initialised: boolean;
  readonly check: Check;
}

async function loginOf(pool: Pool): Promise<Login> {
  const { rows } = await pool.query<{ name: string; owns: boolean; initialised: boolean }>(
    `select current_user::text as name, n.oid is not null as initialised,
            has_database_privilege(current_database(), 'CREATE') and coalesce(has_schema_privilege(n.oid, 'CREATE'), true) as owns
       from (select) as one left join pg_namespace n on n.nspname = 'ops'`,
  );
  const { name, owns, initialised } = rows[0] ?? { name: '', owns: false, initialised: false };
  const what = 'login';
  if (owns) return { name, owns, initialised, check: ok(what, `${name} may make schemas (the owner)`) };
  const check = initialised
    ? ok(what, `${name} may not make schemas, and need not: leakage init has`)
    : no(
        what,
        `${name} may not make schemas, and there are none yet`,
        'Run leakage init with the DATABASE_URL of the owner.',
      );
  return { name, owns, initialised, check };
}

async function connections(pool: Pool): Promise<Check[]> {
  const { rows } = await pool.query<{ most: number; used: number; ours: number; limits: number[] }>(
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
              - current_setting('reserved_connections')::int as most,
            count(*) as used, count(*) filter (where application_name ~ '^(bronze-sink|silver-joiner|gold-aggregator|leakage-api)') as ours,
            array_remove(array[(select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
                               (select nullif(datconnlimit, -1) from pg_database where datname = current_database())], null) as limits
       from pg_stat_activity
      where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  const { most, used, ours, limits } = rows[0] ?? { most: 0, used: 0, ours: 0, limits: [] };
  const name = 'connections';
  const found = `${used} of ${most} in use`;
  const tightest = Math.min(...limits);
  if (tightest < oneServiceWants) {
    const remedy = `A service opens up to ${oneServiceWants}: raise the connection limit of the role or of the database.`;
    return [no(name, `${found}, and this login or database has a limit of ${tightest}`, remedy)];
  }
  if (most - used >= Math.max(oneServiceWants, connectionsWanted - ours)) return [ok(name, found)];
  const remedy = `All services together open up to ${connectionsWanted}: raise max_connections of the server, or close what is not needed.`;
  return [no(name, found, remedy)];
}

/** The host's clock against the server's, corrected by half the time that the question took. */
async function clock(pool: Pool): Promise<Check> {
  await pool.query('select 1');
  const asked = Date.now();
  const { rows } = await pool.query<{ now: number }>('select clock_timestamp() as now');
  const answered = Date.now();
  const aheadMs = (rows[0]?.now ?? 0) - (asked + answered) / 2;
  const name = 'clock';
  const found = `Postgres is ${(Math.abs(aheadMs) / 1000).toFixed(1)} s ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine`;
  const remedy = 'Set both by NTP: partitions of bronze, freshness and lag are told by these clocks (no figure is).';
  if (Math.abs(aheadMs) < clockNoteMs + (answered - asked)) return ok(name, 'Postgres and this machine agree');
  return Math.abs(aheadMs) < clockWrongMs ? note(name, found, remedy) : no(name, found, remedy);
}

/** The brokers stamp records; one that is stamped later than now was stamped by a clock that is ahead. */
async function kafkaClock(pool: Pool): Promise<Check | null> {
  const { bronzeSchema } = loadSettings(schemaSettings, readEnvironment());
  try {
    const { kafkaTimestamp } = await newestRecord(pool, bronzeSchema);
    const aheadMs = kafkaTimestamp === null ? 0 : kafkaTimestamp - Date.now();
    if (aheadMs < kafkaAheadMs) return null;
    return note(
      'clock of Kafka',
      `the newest record is stamped ${Math.round(aheadMs / 1000)} s ahead of this machine`,
      'Set the clocks of the brokers by NTP: what is dated after its own arrival is quarantined.',
    );
  } catch (error) {
    if (sqlState(error) !== null) return null; // no bronze yet, or none that this login may read
    throw error;
  }
}

async function timeZone(pool: Pool): Promise<Check> {
  const name = 'time zone';
  const { timeZone: zone } = loadSettings(timeZoneSettings, readEnvironment());
  const { rows } = await pool.query<{ known: boolean; offset: number }>(
    `select exists (select from pg_timezone_names where name = $1) as known,
            extract(epoch from (select utc_offset from pg_timezone_names where name = $1))::int as offset`,
    [zone],
  );
  const [answer] = rows;
  const remedy =
    'Days would begin at different moments in figures and in services: bring the time zone data of the server up to date.';
  if (answer?.known !== true) return no(name, `Postgres does not know ${zone} (TIME_ZONE)`, remedy);
  const here = offsetOf(zone);
  if (here !== answer.offset) {
    return no(name, `${zone} is ${answer.offset / 3600} h from UTC in Postgres and ${here / 3600} h here`, remedy);
  }
  return ok(name, zone);
}

/** Seconds that a zone is ahead of UTC now. */
function offsetOf(zone: string): number {
  const now = Math.floor(Date.now() / 1000) * 1000;
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  }).formatToParts(now);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value);
  return (Date.UTC(of('year'), of('month') - 1, of('day'), of('hour'), of('minute'), of('second')) - now) / 1000;
}

/** Each service knows what it needs of the database: migrations, and a generation with the rules that are set. */
async function schemas(login: Login): Promise<Check[]> {
  const name = 'schemas';
  if (!login.initialised) {
    return login.owns
      ? [note(name, 'none yet', 'leakage init makes them, and so does every service at its first start.')]
      : [];
  }
  const found = await Promise.all(owningServices.map(checkService));
  // Of what only another service reads, a service's own login cannot tell.
  const told = login.owns
    ? found
    : found.filter((problems) => !problems.some((problem) => problem.includes('may not read')));
  const problems = [...new Set((told.length > 0 ? told : found).flat())];
  const { generation } = loadSettings(generationSettings, readEnvironment());
  if (problems.length === 0)
    return [ok(name, `in their newest form, generation ${generation} has the rules that are set`)];
  return problems.map((problem) =>
    no(
      name,
      problem,
      /generation \d+ was/.test(problem)
        ? 'See "Generations" in docs/operations.md.'
        : login.owns
          ? 'Run leakage init, or start the service: either makes it.'
          : `Run leakage init with the DATABASE_URL of the owner, which ${login.name} is not (or ask with that URL).`,
    ),
  );
}

/** Whether the logins that init makes may do exactly what they should. Anybody can see what is granted. */
async function rights(pool: Pool, rolePrefix: string, { initialised }: Login): Promise<Check[]> {
  const roles = await existingRoles(pool, rolePrefix);
  if (!initialised || Object.keys(roles).length === 0) return [];
  const {
    bronzeSchema: bronze,
    silverSchema: silver,
    goldSchema: gold,
  } = loadSettings(schemaSettings, readEnvironment());
  try {
    const missing = await missingStatements(pool, { bronze, silver, gold }, roles);
    const all = [...missing.grants, ...missing.revokes, ...missing.policies];
    if (all.length === 0) return [ok('rights', `those of ${Object.values(roles).join(', ')} are as they should be`)];
    const more = all.length > 1 ? ` and ${all.length - 1} more` : '';
    return [
      no(
        'rights',
        `${all[0]} is missing${more}`,
        'Run leakage init with the DATABASE_URL of the owner: it puts them right.',
      ),
    ];
  } catch (error) {
    // Who may not even see which generations there are cannot compare.
    if (sqlState(error) !== '42501') throw error;
    return [
      note('rights', 'this login may not see which generations there are', 'Ask with the DATABASE_URL of the owner.'),
    ];
  }
}
