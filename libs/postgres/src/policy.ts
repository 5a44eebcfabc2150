import type { Queryable } from './connection.ts';
import { type Erased, loadErased } from './erased.ts';

/** What is refused although it is valid, as it holds at a time. */
export interface Policy {
  readonly version: number;
  /** Events and calls from before it, in epoch milliseconds; null: none is refused for its age. */
  readonly refusedBefore: number | null;
  /**
   * What Kafka got before then and what is refused for nothing but its age is no late record: it was there before the generation
   * was made, which begins later. Epoch milliseconds; null: everything that is refused is told of.
   */
  readonly untoldBefore: number | null;
  /** What Kafka got before then and what is refused for another reason was in quarantine for as long as it is kept there. */
  readonly quarantineKeptFrom: number | null;
  /** Who was erased; null: nobody. */
  readonly erased: Erased | null;
}

interface Given {
  readonly generation: number | null;
  readonly key: () => string | null;
}

/** Of bronze, which has no horizon and may look at no generation. */
const LOAD_BRONZE = `
  select version, null::bigint as "refusedBefore", null::bigint as "quarantineKeptFrom", null::bigint as "untoldBefore"
    from ops.policy`;

const LOAD = `
  select p.version, (extract(epoch from h.refused_before) * 1000)::bigint as "refusedBefore",
         (extract(epoch from h.quarantine_kept_from) * 1000)::bigint as "quarantineKeptFrom",
         case when h.begins_at is not null then (extract(epoch from g.created_at) * 1000)::bigint end as "untoldBefore"
    from ops.policy p
    left join ops.horizon h on h.generation = $1
    left join ops.generation g on g.id = h.generation`;

/** The version first: what is read after it may be newer, and is judged again then, but never older. */
async function loadPolicy(db: Queryable, { generation, key }: Given): Promise<Policy> {
  const { rows } = await (generation === null
    ? db.query<Omit<Policy, 'erased'>>(LOAD_BRONZE)
    : db.query<Omit<Policy, 'erased'>>(LOAD, [generation]));
  const [policy] = rows;
  if (policy === undefined) throw new Error('ops.policy is empty: its row was deleted, insert it again');
  return { ...policy, erased: await loadErased(db, key) };
}

/**
 * The policy by which a process judges records. It may be out of date: then the batch that was judged by it is refused
 * (addOutcomes throws PolicyChangedError), and judged again after `reload`.
 */
export class PolicyInForce {
  readonly #db: Queryable;
  readonly #given: Given;
  #now: Policy;

  private constructor(db: Queryable, given: Given, now: Policy) {
    this.#db = db;
    this.#given = given;
    this.#now = now;
  }

  /**
   * `generation` null: of bronze, where nothing is too old. `key` gives the key of pseudonyms, null if there is none, and is asked
   * once somebody was erased: throws SettingsError where it is not the one by which that was done.
   */
  static async open(
    db: Queryable,
    generation: number | null,
    key: () => string | null = () => null,
  ): Promise<PolicyInForce> {
    const given = { generation, key };
    return new PolicyInForce(db, given, await loadPolicy(db, given));
  }

  get now(): Policy {
    return this.#now;
  }

  async reload(): Promise<void> {
    this.#now = await loadPolicy(this.#db, this.#given);
  }
}
