// Writes the records of a simulated world into a file, once: while something is measured nobody simulates or encodes.
// Arguments: the file, how many records.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { openEncoders } from '@leakage/registry';
import { createLogger } from '@leakage/runtime';
import { PARTITIONS, SOURCES, topicName } from '@leakage/schemas';
import { dayOfDate } from '../../services/generator/src/domain/calendar.ts';
import { DEFAULT_RATES } from '../../services/generator/src/domain/noise.ts';
import { DEFAULT_PARAMETERS, PRESETS } from '../../services/generator/src/domain/parameters.ts';
import { streamFrom } from '../../services/generator/src/domain/stream.ts';
import { World } from '../../services/generator/src/domain/world.ts';
import { Encoder } from '../../services/generator/src/encoding.ts';
import { type PreparedRecord, writeRecords } from './records-file.ts';

/** A quarter of the preset `full`, with as many events and calls for each member. */
const part = 4;
const prefix = 'prepared';
const firstDay = '2026-01-05';
const seed = 42;

const [file = '', wanted = ''] = process.argv.slice(2);
const world = new World({
  seed,
  timeZone: 'America/New_York',
  firstDay: dayOfDate(firstDay),
  anchorDay: dayOfDate(firstDay) + 365,
  members: PRESETS.full.members / part,
  eventsPerDay: PRESETS.full.events / part,
  callsPerDay: PRESETS.full.calls / part,
  parity: false,
  rates: DEFAULT_RATES,
  parameters: DEFAULT_PARAMETERS,
});
const log = createLogger({ service: 'benchmark', level: 'warn' });
const encoders = await openEncoders({
  url: undefined,
  register: false,
  topicPrefix: prefix,
  versions: { journeys: 2 },
  log,
  signal: new AbortController().signal,
});
const topics = new Map(SOURCES.map((source) => [topicName(prefix, source), source]));
const encoder = new Encoder({
  topicPrefix: prefix,
  partitions: new Map(SOURCES.map((source) => [topicName(prefix, source), PARTITIONS])),
  encoders,
});

mkdirSync(dirname(file), { recursive: true });
await writeRecords(file, records(Number(wanted)));

function* records(max: number): Generator<PreparedRecord> {
  let count = 0;
  for (const emissions of streamFrom(world, Number.NEGATIVE_INFINITY)) {
    for (const emission of emissions) {
      if (count >= max) return;
      count += 1;
      const { topic, key, value, partition } = encoder.encode(emission);
      const source = topics.get(topic);
      if (source === undefined || value === null) throw new Error(`a record of ${topic} cannot be kept`);
      yield { source, key: key === null ? null : Buffer.from(key), value, partition: partition ?? null };
    }
  }
}
