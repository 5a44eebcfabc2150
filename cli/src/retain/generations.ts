import type { Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';
import { addDays, goldKeptFrom, horizonDays, type RetentionPolicy } from './policy.ts';

/** What a run does to one generation. Instants as Postgres writes them, days local to the generation. */
export interface GenerationPlan {
  readonly generation: number;
  readonly silver: string;
  readonly gold: string;
  readonly today: string;
  /** The horizon as it will be: the wanted one, or the present one where that is later already. */
  readonly refusedBefore: string;
  readonly keptFrom: string;
  /** The first day from which on everything is there, and its figures are final. */
  readonly horizonDay: string;
  /** The present horizon is an earlier one, or there is none. */
  readonly moves: boolean;
  /** Quarantined records that Kafka got before then are removed. */
  readonly quarantineKeptFrom: string;
  readonly goldKeptFrom: string;
}

interface Row {
  readonly id: number;
  readonly state: string;
  readonly timeZone: string;
  readonly windowMs: number;
  readonly caughtUp: boolean;
  readonly today: string;
  readonly localToday: string;
}

/** Every generation that is not dropped; throws CommandError where one is not ready for it. */
export async function planGenerations(
  db: Queryable,
  o: {
    readonly policy: RetentionPolicy;
    /** The day that counts as today; null: today. */
    readonly asOf: string | null;
    readonly schemas: { readonly silver: string; readonly gold: string };
  },
): Promise<GenerationPlan[]> {
  const { rows } = await db.query<Row>(
    `select z.*, coalesce($1::date::text, z."localToday") as today
       from (select g.id, g.state, g.rules ->> 'timeZone' as "timeZone", (g.rules ->> 'windowMs')::bigint as "windowMs",
                    g.state in ('active', 'retired') or g.caught_up_at is not null as "caughtUp",
                    (now() at time zone (g.rules ->> 'timeZone'))::date::text as "localToday"
               from ops.generation g where g.state <> 'dropped') z
      order by z.id`,
    [o.asOf],
  );
  if (rows.length === 0) {
    throw new CommandError('This database holds no generation of silver yet: there is nothing to remove.');
  }
  for (const row of rows) mustBeReady(row);
  for (const { id } of rows) await mustHaveGold(db, id, `${o.schemas.gold}_${id}.closed_day`);
  const plans: GenerationPlan[] = [];
  for (const row of rows) plans.push(await planGeneration(db, row, o));
  return plans;
}

function mustBeReady({ id, state, caughtUp, today, localToday }: Row): void {
  if (today > localToday) throw new CommandError(`--as-of ${today} is in the future: it is ${localToday}.`, 2);
  if (state === 'preparing') {
    throw new CommandError(`Generation ${id} is being prepared: wait until it is built, or drop it.`, 3);
  }
  if (!caughtUp) {
    throw new CommandError(
      `Generation ${id} is being built and still needs what would be removed: wait until it has caught up, or drop it.`,
      3,
    );
  }
}

async function mustHaveGold(db: Queryable, id: number, table: string): Promise<void> {
  const { rows } = await db.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]);
  if (rows[0]?.there === true) return;
  throw new CommandError(
    `Generation ${id} has no gold of this release that could keep its figures: start its gold-aggregator, or drop the generation.`,
    3,
  );
}

async function planGeneration(
  db: Queryable,
  { id, timeZone, windowMs, today }: Row,
  { policy, schemas }: Parameters<typeof planGenerations>[1],
): Promise<GenerationPlan> {
  const wanted = horizonDays(today, policy.keepDays, windowMs);
  const { rows } = await db.query<Pick<GenerationPlan, 'refusedBefore' | 'keptFrom' | 'horizonDay' | 'moves'>>(
    `select case when w.moves then w.refused_before else h.refused_before end::text as "refusedBefore",
            case when w.moves then greatest(w.kept_from, h.kept_from) else h.kept_from end::text as "keptFrom",
            ((case when w.moves then w.refused_before else h.refused_before end - interval '1 microsecond')
              at time zone $2)::date + 1 || '' as "horizonDay",
            w.moves
       from (select $3::date::timestamp at time zone $2 as refused_before, $4::date::timestamp at time zone $2 as kept_from) d
       left join ops.horizon h on h.generation = $1
      cross join lateral (select d.*, coalesce(d.refused_before > h.refused_before, true) as moves) w`,
    [id, timeZone, wanted.refusedBefore, wanted.keptFrom],
  );
  const [horizon] = rows;
  if (horizon === undefined) throw new Error(`the horizon of generation ${id} could not be computed`);
  const names = { silver: `${schemas.silver}_${id}`, gold: `${schemas.gold}_${id}` };
  return {
    generation: id,
    ...names,
    today,
    ...horizon,
    quarantineKeptFrom: `${addDays(today, -policy.quarantineKeepDays)}T00:00:00Z`,
    goldKeptFrom: goldKeptFrom(today, policy.goldKeepMonths),
  };
}
