import type { Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';

/** What may be ordered of a generation at any time; what is left out stays as it is. */
export interface Orders {
  readonly paused?: boolean;
  readonly sharePercent?: number;
  readonly recordsPerSecond?: number;
  /** Kafka has forgotten what it has not read: bronze has it. */
  readonly readBronzeAgain?: boolean;
}

/** Its processes heed it within a second, wherever they run; throws CommandError where there is nothing to be ordered. */
export async function changeOrders(db: Queryable, generation: number, orders: Orders): Promise<void> {
  const { rows } = await db.query<{ state: string }>('select state from ops.generation where id = $1', [generation]);
  const state = rows[0]?.state;
  if (state === undefined) throw new CommandError(`There is no generation ${generation}: see leakage generations.`);
  if (state === 'dropped') throw new CommandError(`Generation ${generation} was dropped: build a new one.`);
  if (state === 'preparing') {
    throw new CommandError(
      `Generation ${generation} was not finished being made (its command was interrupted): drop it and build a new one.`,
    );
  }
  if (state === 'active' && orders.paused === true) {
    throw new CommandError(`Generation ${generation} is the active one: everybody reads it, it does not rest.`);
  }
  await db.query(
    `update ops.generation
        set paused = coalesce($2, paused),
            share_percent = coalesce($3, share_percent),
            records_per_second = coalesce($4, records_per_second),
            source = case when $5 then 'bronze' else source end,
            caught_up_at = case when $5 then null else caught_up_at end
      where id = $1`,
    [
      generation,
      orders.paused ?? null,
      orders.sharePercent ?? null,
      orders.recordsPerSecond ?? null,
      orders.readBronzeAgain === true,
    ],
  );
}
