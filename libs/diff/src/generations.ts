import type { Reach } from './days.ts';
import { epochMs, identifier, isoInstant } from './sql.ts';
import { type ComparedGeneration, DiffError, type DiffOptions, type DiffQuery, type StoredRules } from './types.ts';

/** What is read of one generation before anything is compared. */
export interface ReadGeneration {
  readonly rules: StoredRules;
  readonly described: ComparedGeneration;
  readonly reach: Reach;
  /** Watermarks in epoch milliseconds: what comes before them and is not there came late, or not at all. */
  readonly watermarks: { readonly digital: number | null; readonly calls: number | null };
}

const silverTables = ['call_fact', 'call', 'journey_event'];
const goldTables = ['call_cube', 'journey_cube'];

interface StoredGeneration {
  id: number;
  state: string;
  purpose: string;
  note: string | null;
  rules: StoredRules;
  from_time: number | null;
  to_time: number | null;
  wm_digital: number | null;
  wm_calls: number | null;
  horizon_day: string | null;
}

/** Reads generation `id`, as compared with generation `other`. Throws DiffError when it has nothing to compare. */
export async function readGeneration(
  query: DiffQuery,
  o: { readonly id: number; readonly other: number; readonly schemas: DiffOptions['schemas'] },
): Promise<ReadGeneration> {
  const stored = await storedGeneration(query, o.id);
  await checkTables(query, { ...o, state: stored.state });
  const read = await readPositions(query, o);
  const watermarks = { digital: stored.wm_digital, calls: stored.wm_calls };
  const asOf =
    stored.wm_digital === null || stored.wm_calls === null ? null : Math.min(stored.wm_digital, stored.wm_calls);
  const { rules } = stored;
  return {
    rules,
    watermarks,
    described: {
      id: o.id,
      state: stored.state,
      purpose: stored.purpose,
      note: stored.note,
      rules: {
        windowMinutes: rules.windowMs / 60_000,
        timeZone: rules.timeZone,
        repeatScope: rules.repeatScope,
        rulesVersion: rules.rulesVersion,
        journeyTypes: rules.reasons.journeyTypes,
      },
      asOf: isoInstant(asOf),
      watermarks: { digital: isoInstant(watermarks.digital), calls: isoInstant(watermarks.calls) },
      records: read.records,
      recordsBehind: read.behind,
      unfoldedChanges: await readUnfolded(query, o.id),
      partOf:
        stored.from_time === null && stored.to_time === null
          ? null
          : { from: isoInstant(stored.from_time), to: isoInstant(stored.to_time) },
    },
    reach: {
      id: o.id,
      timeZone: rules.timeZone,
      ...(await readExtent(query, `${o.schemas.gold}_${o.id}`)),
      asOf,
      recordsBehind: read.behind,
      // Behind in profiles only, which have no watermark: everything else has been heard.
      heardUntil: read.unheard ? null : (read.heard_until ?? Number.POSITIVE_INFINITY),
      beginsLater: read.begins_later,
      fromTime: stored.from_time,
      toTime: stored.to_time,
      horizonDay: stored.horizon_day,
    },
  };
}

async function storedGeneration(query: DiffQuery, id: number): Promise<StoredGeneration> {
  const { rows } = await query(
    `select g.id, g.state, g.purpose, g.note, g.rules, ${epochMs('g.from_time')} as from_time, ${epochMs('g.to_time')} as to_time,
            (select ${epochMs('max(s.wm_digital)')} from ops.shard s where s.generation = g.id) as wm_digital,
            (select ${epochMs('max(s.wm_calls)')} from ops.shard s where s.generation = g.id) as wm_calls,
            (select greatest(((h.refused_before - interval '1 microsecond') at time zone (g.rules ->> 'timeZone'))::date + 1,
                             h.closed_before)::text
               from ops.horizon h where h.generation = g.id) as horizon_day
       from ops.generation g where g.id = $1`,
    [id],
  );
  const stored = rows[0] as StoredGeneration | undefined;
  if (stored === undefined) throw new DiffError('unknown', `There is no generation ${id} in this database.`);
  if (stored.state === 'dropped') {
    throw new DiffError(
      'dropped',
      `Generation ${id} was dropped: its tables are gone, and nothing of it can be compared.`,
    );
  }
  return stored;
}

async function checkTables(
  query: DiffQuery,
  { id, state, schemas }: { readonly id: number; readonly state: string; readonly schemas: DiffOptions['schemas'] },
): Promise<void> {
  const names = [
    ...silverTables.map((table) => `${schemas.silver}_${id}.${table}`),
    ...goldTables.map((table) => `${schemas.gold}_${id}.${table}`),
  ];
  // From the catalogue: whoever may not use a schema may still know that it is there.
  const { rows } = await query(
    `select w.name from unnest($1::text[]) as w (name)
      where not exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                         where n.nspname || '.' || c.relname = w.name and c.relkind = 'r')
      order by 1`,
    [names],
  );
  if (rows.length === 0) return;
  throw new DiffError(
    'no_tables',
    `Generation ${id} (${state}) has no ${rows.map((row) => String(row.name)).join(', ')} yet: silver-joiner and gold-aggregator make them when they start on it.`,
  );
}

interface ReadPositions {
  records: number;
  behind: number;
  begins_later: boolean;
  heard_until: number | null;
  /** Of a partition in which it is behind, it has heard nothing. */
  unheard: boolean;
}

/** Per partition, how far this generation has read of what it is to read, beside the other one. A shard has the number of its partition. */
async function readPositions(
  query: DiffQuery,
  { id, other }: { readonly id: number; readonly other: number },
): Promise<ReadPositions> {
  const { rows } = await query(
    `with read as (select pipeline, topic, partition, first_offset, next_offset, until_offset, holes from ops.position),
          own as (select * from read where pipeline = 'silver_' || $1::int),
          others as (select * from read where pipeline = 'silver_' || $2::int),
          beside as (
       select o.next_offset is not null and p.first_offset is not null and p.first_offset > o.first_offset as begins_later,
              greatest(least(o.next_offset, p.until_offset) - coalesce(p.next_offset, o.first_offset), 0) as behind,
              case regexp_replace(coalesce(p.topic, o.topic), '^.*[.]', '')
                when 'journeys' then s.wm_digital when 'calls' then s.wm_calls else 'infinity' end as heard
         from own p
         full join others o on o.topic = p.topic and o.partition = p.partition
         left join ops.shard s on s.generation = $1 and s.shard = coalesce(p.partition, o.partition))
     select (select coalesce(sum(next_offset - first_offset - holes), 0) from own)::float8 as records,
            coalesce(sum(behind), 0)::float8 as behind,
            coalesce(bool_or(begins_later), false) as begins_later,
            coalesce(bool_or(behind > 0 and heard is null), false) as unheard,
            ${epochMs(`nullif(min(heard) filter (where behind > 0), 'infinity')`)} as heard_until
       from beside`,
    [id, other],
  );
  return rows[0] as unknown as ReadPositions;
}

async function readUnfolded(query: DiffQuery, id: number): Promise<number> {
  const { rows } = await query(
    `select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::float8 as changes
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [id],
  );
  return Number(rows[0]?.changes ?? 0);
}

async function readExtent(query: DiffQuery, schema: string): Promise<Pick<Reach, 'firstDay' | 'lastDay'>> {
  const gold = identifier(schema);
  const of = (end: 'min' | 'max') =>
    goldTables.map((table) => `(select ${end}(local_date) from ${gold}.${table})`).join(', ');
  const { rows } = await query(
    `select least(${of('min')})::text as "firstDay", greatest(${of('max')})::text as "lastDay"`,
  );
  return rows[0] as Pick<Reach, 'firstDay' | 'lastDay'>;
}
