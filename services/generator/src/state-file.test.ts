import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@leakage/testing';
import { beforeEach, expect, test } from 'vitest';
import type { Emission } from './domain/emission.ts';
import { DEFAULT_RATES } from './domain/noise.ts';
import { DEFAULT_PARAMETERS, GENERATOR_VERSION } from './domain/parameters.ts';
import { BEGINNING } from './domain/stream.ts';
import { type GeneratorState, readState, stateFile, writeState } from './state-file.ts';
import { TruthFile } from './truth-file.ts';

let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
});

const shape = {
  seed: 1,
  timeZone: 'UTC',
  anchorDay: 20_000,
  firstDay: 19_990,
  members: 1,
  eventsPerDay: 1,
  callsPerDay: 1,
  parity: false,
  rates: DEFAULT_RATES,
  parameters: DEFAULT_PARAMETERS,
};
const state: GeneratorState = {
  version: GENERATOR_VERSION,
  topicPrefix: 'p',
  shape,
  changes: [],
  disturbances: [],
  fileBytes: {},
  output: 'kafka',
  position: BEGINNING,
  caughtUp: false,
  records: 0,
  truthBytes: 0,
};

test('a state is read as it was written, and absent where nothing was', async () => {
  expect(await readState(folder)).toBeNull();
  for (const position of [BEGINNING, { at: 17, sentAt: 3 }]) {
    await writeState(folder, { ...state, position });
    expect(await readState(folder)).toEqual({ ...state, position });
  }
});

test('a state of another version or a broken one is refused with what to do', async () => {
  await writeState(folder, { ...state, version: 0 });
  await expect(readState(folder)).rejects.toThrow(/version 0.*leakage up --empty/);
  await writeFile(stateFile(folder), '{"version":');
  await expect(readState(folder)).rejects.toThrow(/not readable.*leakage up --empty/);
});

test('a truth file is cut to what belongs to the position, and goes on there', async () => {
  const call = (id: string): Emission[] => [
    {
      source: 'calls',
      at: 0,
      damage: null,
      // The event does not matter here.
      event: {
        call_id: id,
        member_id: null,
        call_timestamp: 0,
        ivr_path: null,
        handle_time_seconds: null,
        agent_id: null,
        call_reason: null,
        sentiment_score: null,
        resolution_status: null,
        revision: 0,
        deleted: false,
        emitted_at: 0,
      },
      truth: {
        call_id: id,
        leakage: true,
        session_id: 'é',
        journey_type: 'billing',
        kind: 'leak',
        repeat_of: null,
        duplicate_of: null,
        revisions: 0,
      },
    },
  ];
  const first = await TruthFile.open(folder, 0);
  await first.begin(shape);
  await first.append(call('A'));
  const { bytes } = first;
  await first.append(call('lost: its batch was never acknowledged'));
  await first.close();
  const second = await TruthFile.open(folder, bytes);
  await second.append(call('B'));
  await second.close();
  const lines = (await readFile(join(folder, 'truth.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { call_id?: string });
  expect(lines.map((line) => line.call_id)).toEqual([undefined, 'A', 'B']);
  expect(second.bytes).toBe((await readFile(join(folder, 'truth.jsonl'))).length);
});

test('a disk that takes only a part of what is written is an error that says what to do, not a shorter truth', async () => {
  const truth = await TruthFile.open(folder, 0);
  const limit = (bytes: number | 'unlimited') => execFileSync('prlimit', [`--pid=${process.pid}`, `--fsize=${bytes}:`]);
  limit(20);
  try {
    await expect(truth.begin(shape)).rejects.toThrow(
      /truth\.jsonl could not be written \(EFBIG: .*\): make room for it, .* it goes on where it stopped$/,
    );
  } finally {
    limit('unlimited');
  }
  expect(await readFile(join(folder, 'truth.jsonl'), 'utf8')).toHaveLength(20);
  await truth.close();
});
