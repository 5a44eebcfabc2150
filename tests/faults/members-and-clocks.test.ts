import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline, stages } from './support/fault-pipeline.ts';
import { lastWords } from './support/last-words.ts';
import { long, report } from './support/report.ts';

const rounds = long ? 5 : 1;

describe('while records are fed', () => {
  let pipeline: FaultPipeline;
  let clockFile: string;
  beforeAll(async () => {
    clockFile = join(temporaryFolder(), 'clock');
    writeFileSync(clockFile, '0');
    const tampering = { clockFile };
    pipeline = await FaultPipeline.start({
      seed: 7,
      tampering: { 'bronze-sink': tampering, 'silver-joiner': tampering, 'gold-aggregator': tampering },
    });
  });
  afterAll(async () => await pipeline.stop());

  it('one to four members of each stage join and leave', async () => {
    for (let round = 0; round < rounds; round++) {
      for (let members = 2; members <= 4; members++) {
        for (const stage of stages) pipeline.join(stage);
        await pipeline.feed(6);
        await sleep(400);
      }
      await pipeline.ready();
      await pipeline.feed(12, 3);
      for (let members = 4; members > 1; members--) {
        await Promise.all([...stages.map((stage) => pipeline.leave(pipeline.member(stage))), pipeline.feed(4)]);
      }
      expect(await pipeline.differences()).toEqual([]);
      report({ kind: 'members-and-clocks', fault: 'members joined and left', times: 9 });
    }
  });

  it('the clocks of all processes jump, to yesterday, to tomorrow and back', async () => {
    const day = 86_400_000;
    for (const wrongBy of [-7_200_000, -day, 2 * day, 0]) {
      writeFileSync(clockFile, String(wrongBy));
      await pipeline.feed(8, 2);
      await sleep(500);
      report({ kind: 'members-and-clocks', fault: 'clocks jumped', times: 1 });
    }
    expect(await pipeline.differences({ mayEnd: lastWords.requestTimedOut })).toEqual([]);
  });

  it('clocks that go back do not cost a member its membership: it takes over from one that leaves', async () => {
    const sessionMs = 2_000;
    writeFileSync(clockFile, '3600000');
    const leaving = stages.map((stage) => pipeline.join(stage));
    await Promise.all(leaving.map((member) => member.ready()));
    await pipeline.feed(8, 2);
    writeFileSync(clockFile, '0');
    await sleep(2 * sessionMs);
    await Promise.all(leaving.map((member) => pipeline.leave(member)));
    await pipeline.feed(8, 2);
    expect(await pipeline.differences({ mayEnd: lastWords.requestTimedOut })).toEqual([]);
    report({ kind: 'members-and-clocks', fault: 'clocks went back in a group', times: 1 });
  });

  it('a process that is started with a wrong clock works like any other', async () => {
    writeFileSync(clockFile, String(-3_600_000));
    for (const stage of stages) pipeline.member(stage).kill();
    await pipeline.feed(8, 2);
    expect(await pipeline.differences({ mayEnd: lastWords.requestTimedOut })).toEqual([]);
    // They really did: what they logged is of an hour ago.
    const times = [...pipeline.output.matchAll(/"time":"([^"]+)"/g)].map(([, time]) => Date.parse(time ?? ''));
    expect(times.some((time) => time < Date.now() - 3_000_000)).toBe(true);
    writeFileSync(clockFile, '0');
  });
});
