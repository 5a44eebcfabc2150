import type { Queryable } from '@leakage/postgres';
import type { Schemas } from './layers.ts';
import type { Validation } from './types.ts';

interface Sums {
  calls: number;
  facts: number;
  leakage: number;
  outcomes: number;
  leaked: number;
  attributed: number;
}

/**
 * Checks that take moments and hold at every instant, in the snapshot of `db`. `verify` is the thorough one. Gold is
 * compared only where it has folded everything, and only from `since` on: of earlier days silver may have let go.
 */
export async function quickChecks(
  db: Queryable,
  { silver, gold }: Schemas,
  { goldIsComplete, since }: { readonly goldIsComplete: boolean; readonly since: string | null },
): Promise<Validation[]> {
  const silverSums = await sums(
    db,
    `select (select count(*) from ${silver}.call where not deleted) as calls, count(*) as facts,
            count(*) filter (where attribution = 'leakage') as leakage,
            (select count(*) from ${silver}.journey_outcome) as outcomes,
            (select count(*) from ${silver}.journey_outcome where leaked) as leaked,
            (select coalesce(sum(leakage_calls), 0)::bigint from ${silver}.journey_outcome) as attributed
       from ${silver}.call_fact`,
  );
  const checks = [
    equal('one fact for every call', silverSums.facts, silverSums.calls),
    equal('every leakage call is charged to one journey', silverSums.attributed, silverSums.leakage),
  ];
  if (!goldIsComplete) return checks;
  const days = `where local_date >= '${since ?? '-infinity'}'::date`;
  const ofSilver = await sums(
    db,
    `select 0 as calls, count(f.call_id) as facts, count(*) filter (where attribution = 'leakage') as leakage, j.outcomes, j.leaked, j.attributed
       from (select * from ${silver}.call_fact ${days}) f
      right join (select count(*) as outcomes, count(*) filter (where leaked) as leaked,
                         coalesce(sum(leakage_calls), 0)::bigint as attributed from ${silver}.journey_outcome ${days}) j on true
      group by j.outcomes, j.leaked, j.attributed`,
  );
  const goldSums = await sums(
    db,
    `select 0 as calls, coalesce(sum(calls), 0)::bigint as facts,
            coalesce(sum(calls) filter (where attribution = 'leakage'), 0)::bigint as leakage,
            j.outcomes, j.leaked, j.attributed
       from (select * from ${gold}.call_cube ${days}) c
      right join (select coalesce(sum(journeys), 0)::bigint as outcomes, coalesce(sum(leaked_journeys), 0)::bigint as leaked,
                         coalesce(sum(leakage_calls), 0)::bigint as attributed from ${gold}.journey_cube ${days}) j on true
      group by j.outcomes, j.leaked, j.attributed`,
  );
  return [
    ...checks,
    equal('gold counts the calls of silver', goldSums.facts, ofSilver.facts),
    equal('gold counts the leakage of silver', goldSums.leakage, ofSilver.leakage),
    equal('gold counts the journeys of silver', goldSums.outcomes, ofSilver.outcomes),
    equal('gold counts the leaked journeys of silver', goldSums.leaked, ofSilver.leaked),
  ];
}

async function sums(db: Queryable, sql: string): Promise<Sums> {
  const { rows } = await db.query<Sums>(sql);
  return rows[0] ?? { calls: 0, facts: 0, leakage: 0, outcomes: 0, leaked: 0, attributed: 0 };
}

const whole = new Intl.NumberFormat('en-US');

function equal(name: string, found: number, wanted: number): Validation {
  const ok = found === wanted;
  return { name, ok, detail: ok ? whole.format(found) : `${whole.format(found)}, should be ${whole.format(wanted)}` };
}
