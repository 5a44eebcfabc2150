/** What a retention run has changed: from when on everything is there, and what is refused for its age. */
import { identifier, literal, wholeNumber } from './sql.ts';
import type { OracleOptions, OracleQuery, OracleRules } from './types.ts';

/** Instants as Postgres writes them. */
export interface Horizon {
  /** The first local day of which silver and gold have to be what they would be without it. */
  readonly day: string;
  /** What is before it is refused from some moment on. */
  readonly refusedBefore: string;
  /** Silver has everything from here on. */
  readonly keptFrom: string;
  /** What is before it was always refused; null: the generation is older than its horizon. */
  readonly beginsAt: string | null;
}

/** Null: nothing was ever removed from this generation. */
export async function readHorizon(
  query: OracleQuery,
  { generation, rules }: { readonly generation: number; readonly rules: OracleRules },
): Promise<Horizon | null> {
  // Of a day that has begun before, a part is missing.
  const { rows } = await query(
    `select greatest(((refused_before - interval '1 microsecond') at time zone $2)::date + 1, closed_before)::text as day,
            refused_before::text as "refusedBefore", kept_from::text as "keptFrom", begins_at::text as "beginsAt"
       from ops.horizon where generation = $1`,
    [wholeNumber(generation), rules.timeZone],
  );
  return (rows[0] as Horizon | undefined) ?? null;
}

/**
 * The records that silver says it has refused for their age. Of a record from before the horizon both is right, to have taken it in
 * before the run and to have refused it after it; which of the two it was, only silver knows.
 */
export function refusedStages({ schemas }: OracleOptions): string[] {
  return [
    `create temp table oracle_refused on commit drop as
select p.position_no, q.kafka_offset
  from ${identifier(schemas.silver)}.quarantine_record q
  join oracle_position p on p.topic = q.kafka_topic and p.partition = q.kafka_partition
 where 'beyond_retention' = any (q.reasons)`,
    'analyze oracle_refused',
  ];
}

/** In a record's row: whether it is among them. */
export const isRefused = {
  column: `f.position_no is not null as refused`,
  join: `left join oracle_refused f on f.position_no = p.position_no and f.kafka_offset = r.kafka_offset`,
};

/** The reason, of a record of that instant. */
export function ageReason({ refusedBefore, beginsAt }: Horizon, instant: string): string {
  const always = beginsAt === null ? '' : ` or ${instant} < ${literal(beginsAt)}`;
  return `case when ${instant} < ${literal(refusedBefore)} and (refused${always}) then 'beyond_retention' end`;
}

/** Before only the winners are left: what was refused for its age and is not that old. */
export function wronglyRefusedStages({ refusedBefore }: Horizon): string[] {
  const of = (kind: string, instant: string) => `
select p.topic, p.partition, r.kafka_offset
  from oracle_${kind} r
  join oracle_refused f using (position_no, kafka_offset)
  join oracle_position p using (position_no)
 where r.${instant} >= ${literal(refusedBefore)}`;
  return [
    `create temp table oracle_wrongly_refused on commit drop as ${of('journey', '"timestamp"')} union all ${of('call', 'call_timestamp')}`,
  ];
}
