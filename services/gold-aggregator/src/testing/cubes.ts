import type { Pool } from '@leakage/postgres';
import { cubes } from '../domain/cubes.ts';

/** Every cell of every cube as text, in key order: two golds are equal when their dumps are. */
export async function dumpCubes(pool: Pool, gold: string): Promise<Record<string, string[]>> {
  const dump: Record<string, string[]> = {};
  for (const { table, key } of cubes) {
    const order = key.map((column) => column.name).join(', ');
    const { rows } = await pool.query<{ cell: string }>(
      `select t::text as cell from ${gold}.${table} t order by ${order}`,
    );
    dump[table] = rows.map((row) => row.cell);
  }
  return dump;
}

const who = `member_category, coalesce(language_preference, ''), coalesce(device_type, ''), coalesce(error_code, '')`;

/** What the cubes must hold, said by SQL over silver's facts. Not the statements with which gold itself recounts. */
export async function countFacts(pool: Pool, silver: string): Promise<Record<string, string[]>> {
  const flag = (condition: string) => `sum((${condition})::int)`;
  const statements = {
    call_cube: `
      select row(local_date, local_hour, attribution, coalesce(leakage_type, ''), ${who}, count(*), ${flag('is_repeat_call')},
                 ${flag('is_primary')}, ${flag('assisted_completion')}, sum(coalesce(sentiment_e4, 0)), ${flag('sentiment_e4 is not null')},
                 sum(coalesce(handle_time_seconds, 0)), ${flag('handle_time_seconds is not null')}, sum(coalesce(time_to_call_ms, 0)))
        from ${silver}.call_fact group by local_date, local_hour, attribution, leakage_type, member_category, language_preference, device_type, error_code`,
    journey_cube: `
      select row(local_date, local_hour, journey_type, outcome, ${who}, count(*), ${flag(`outcome like 'failed%' or leaked`)},
                 ${flag('leaked')}, sum(leakage_calls))
        from ${silver}.journey_outcome group by local_date, local_hour, journey_type, outcome, member_category, language_preference, device_type, error_code`,
    member_cube: `
      select row(member_category, language_preference, count(*))
        from ${silver}.member_profile p
       where not exists (select from ${silver}.member_profile q where q.member_id = p.member_id and q.valid_from > p.valid_from)
       group by member_category, language_preference`,
    error_message_cube: `
      select row(leakage_type, error_code, error_message, count(*))
        from ${silver}.call_fact where leakage_type is not null and error_code is not null and error_message is not null
       group by leakage_type, error_code, error_message`,
  };
  const counted: Record<string, string[]> = {};
  for (const [table, statement] of Object.entries(statements)) {
    const { rows } = await pool.query<{ cell: string }>(`select r::text as cell from (${statement}) as x (r)`);
    counted[table] = rows.map((row) => row.cell);
  }
  return counted;
}

/** For comparing dumps that come in different orders. */
export function sorted(dump: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(dump).map(([table, cells]) => [table, [...cells].sort()]));
}
