import { type CommandStep, killedAt } from './command-steps.ts';
import { type Installation, newInstallation, type Outcome } from './installation.ts';

/** What of a generation everybody can see: the state, and what the stable views and the change stream show. */
export interface Seen {
  readonly active: number;
  /** Generations that the stable views of silver and gold are published from. */
  readonly shown: readonly number[];
  /** Which generation the change stream goes on with for ever. */
  readonly speaks: number | null;
}

/** Generation 1 active and 2 building beside it, prepared by their services, which then do not run: nothing moves by itself. */
export interface TwoGenerations extends Installation {
  readonly seen: () => Promise<Seen>;
  /** Writes down that the whole generation was verified. */
  readonly verified: (generation: number, o?: { readonly ok?: boolean; readonly hoursAgo?: number }) => Promise<void>;
  /** Positions of a generation's silver: `records` read in each of three partitions. */
  readonly hasRead: (generation: number, records: number) => Promise<void>;
  /** Gold of a generation has folded all but so many changes. */
  readonly goldBehind: (generation: number, changes: number) => Promise<void>;
  /** Runs a command that kills itself at this step; `code` -1: it was killed. */
  readonly killedAt: (step: CommandStep, words: readonly string[]) => Promise<Outcome>;
  /** Everything as it was: 1 is active, 2 is building, nobody was ever promoted. */
  readonly asBefore: () => Promise<void>;
}

export async function twoGenerations(): Promise<TwoGenerations> {
  const it = await newInstallation();
  await it.init();
  await it.init([], { GENERATION: '2', LEAKAGE_WINDOW_MINUTES: '45' });
  const { owner } = it;
  const hasRead = async (generation: number, records: number) => {
    await owner.query(
      `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, cluster_id, accepted)
       select 'silver_' || $1::int, 'calls', p, 0, $2, 'test', $2 from generate_series(0, 2) p
       on conflict (pipeline, topic, partition) do update set next_offset = $2, accepted = $2`,
      [generation, records],
    );
  };
  const goldBehind = async (generation: number, changes: number) => {
    await owner.query(
      `insert into ops.reader (reader, generation, shard, next_seq)
       select 'gold', generation, shard, change_seq + 1 from ops.shard where generation = $1
       on conflict (reader, generation, shard) do update set next_seq = excluded.next_seq`,
      [generation],
    );
    if (changes > 0) {
      await owner.query('update ops.shard set change_seq = change_seq + $2 where generation = $1 and shard = 3', [
        generation,
        changes,
      ]);
    }
  };
  const asBefore = async () => {
    await owner.query(`delete from ops.promotion; delete from ops.verification; delete from ops.horizon; delete from ops.reader where reader = 'changes';
      update ops.generation set state = 'building', purpose = 'candidate', paused = false, caught_up_at = null where id = 2;
      update ops.generation set state = 'active' where id = 1;
      insert into ops.reader (reader, generation, shard, next_seq)
      select 'changes', 1, shard, change_seq + 1 from ops.shard where generation = 1`);
    await owner.query(`select ops.publish('silver', 1), ops.publish('gold', 1)`);
    for (const generation of [1, 2]) {
      await hasRead(generation, 100);
      await goldBehind(generation, 0);
    }
  };
  await asBefore();
  return {
    ...it,
    hasRead,
    goldBehind,
    asBefore,
    seen: async () => {
      const { rows } = await owner.query<Seen>(
        `select (select id from ops.generation where state = 'active') as active,
                array(select distinct substring(note from '[0-9]+$')::int
                        from (select * from ops.view_columns('gold') union all select * from ops.view_columns('silver')) v order by 1) as shown,
                (select min(generation) from ops.reader where reader = 'changes' and until_seq is null) as speaks`,
      );
      const [row] = rows;
      if (row === undefined) throw new Error('no row');
      return row;
    },
    verified: async (generation, { ok = true, hoursAgo = 0 } = {}) => {
      await owner.query(
        `insert into ops.verification (generation, rules_hash, begun_at, ended_at, records, ok, trigger)
         select id, rules_hash, clock_timestamp(), clock_timestamp() - make_interval(hours => $2), 300, $3, 'command'
           from ops.generation where id = $1`,
        [generation, hoursAgo, ok],
      );
    },
    killedAt: (step, words) => killedAt(step, words, it.env),
  };
}
