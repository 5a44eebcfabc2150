import type { Queryable } from '@leakage/postgres';

/** A figure that is set, not measured. */
export interface Parameter {
  readonly name: string;
  /** Decimal text, as people write it. */
  readonly value: string;
  /** Set by somebody, or only our default, which never replaces what is stored. */
  readonly explicit: boolean;
  /** Where the figure comes from, for people. */
  readonly source: string;
}

/** Stores a parameter; `set_at` moves only when the value does. */
export async function storeParameter(db: Queryable, { name, value, explicit, source }: Parameter): Promise<void> {
  await db.query(
    `insert into ops.parameter as p (name, value, source, set_by)
     values ($1, $2::numeric, $3, 'gold-aggregator')
     on conflict (name) do update
        set value = excluded.value, source = excluded.source, set_by = excluded.set_by, set_at = now()
      where $4 and p.value <> excluded.value`,
    [name, value, source, explicit],
  );
}

/** What savings_model multiplies with, besides counts. Dollars and shares, not in the rules: they change no count. */
export async function storeParameters(db: Queryable, o: { costPerCall: number; explicit: boolean }): Promise<void> {
  await storeParameter(db, {
    name: 'cost_per_call',
    value: o.costPerCall.toFixed(2),
    explicit: o.explicit,
    source: o.explicit ? 'setting COST_PER_CALL' : 'default: an illustrative price, not measured',
  });
  await storeParameter(db, {
    name: 'avoidable_share',
    value: '1',
    explicit: false,
    source: 'default: every leakage call counts as avoidable (gross), not measured',
  });
}
