-- Scheduled verifications that did not take place, for whoever looks at the results.
-- Up Migration

-- Of each generation the newest ones in a row: the row goes with the next scheduled verification that takes place.
create table left_out_verification (
  generation int primary key references generation (id),
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  times int not null default 1 check (times > 0),
  -- skipped: it was not possible. failed: it ended with an error.
  kind text not null check (kind in ('skipped', 'failed')),
  -- Of the last one, in a sentence; never what an error says, which may hold anything.
  reason text not null
);
