-- What is refused although it is valid: events from before the horizon of retention, and members who were erased.
-- Up Migration

-- Raised with every change of what is refused, under the locks of all shards and positions. A batch is judged before it is
-- stored; the statement that counts its outcomes runs under these locks too and says whether it was judged by what holds.
create table policy (
  only_row boolean primary key default true check (only_row),
  version bigint not null
);
insert into policy (version) values (1);

-- Moved by retention runs only, and only forward.
create table horizon (
  generation int primary key references generation (id),
  -- Events and calls from before it are taken in no more. A midnight of the generation's time zone.
  refused_before timestamptz not null,
  -- Silver has every event and call from here on: earlier by as much as a fact looks back.
  kept_from timestamptz not null check (kept_from <= refused_before),
  moved_at timestamptz not null default clock_timestamp()
);
