// npm run bench: measures the product on this machine, with servers of its own. `npm run bench -- --help` says more.
import { parseArgs } from 'node:util';
import { api } from './api.ts';
import { freshness } from './freshness.ts';
import { generator } from './generator.ts';
import { growth } from './growth.ts';
import { profile, profileRebuild } from './profile.ts';
import { rebuild } from './rebuild.ts';
import { recovery } from './recovery.ts';
import { replay } from './replay.ts';
import { scaleOut } from './scale-out.ts';
import type { BenchOptions } from './support/options.ts';
import { keep, markdown, provenance, publish, type Result } from './support/report.ts';
import { sustained } from './sustained.ts';

const benchmarks: Readonly<Record<string, { readonly help: string; run(o: BenchOptions): Promise<Result> }>> = {
  replay: {
    help: 'full topics, empty tables: events a second until all is in gold, and where the time goes',
    run: replay,
  },
  rebuild: {
    help: 'a generation from the topics and one from bronze, beside an idle live one: events a second, memory',
    run: rebuild,
  },
  profile: { help: 'a replay under profilers: what takes the time, by statement and by function', run: profile },
  'profile-rebuild': { help: 'the same of a generation that is built from bronze', run: profileRebuild },
  'scale-out': { help: 'the same replay with one, two and four joiners', run: scaleOut },
  sustained: { help: '30,000 records a second: does the lag stay flat', run: sustained },
  growth: {
    help: 'what records cost on top of --events stored ones, and of thirty times as many; takes an hour',
    run: growth,
  },
  freshness: {
    help: 'from produced to readable through the api, at 1,000 and 10,000 records a second',
    run: freshness,
  },
  recovery: { help: 'the joiner is killed under load: when has it caught up', run: recovery },
  generator: {
    help: 'records into Kafka: prepared ones from one and two processes, and the world full as it is simulated',
    run: generator,
  },
  api: { help: 'answers a second from memory and unchanged, and their tail while records flow in', run: api },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    events: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '60' },
    publish: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false, short: 'h' },
  },
});

function usage(): string {
  const names = Object.entries(benchmarks).map(([name, { help }]) => `  ${name.padEnd(17)}${help}`);
  return `npm run bench -- [names] [--events N] [--seconds N] [--publish]

${names.join('\n')}

Without names: all of them, one after the other. --events: records to replay (1000000). --seconds: how long a load lasts (60).
--publish: put the figures into benchmarks/RESULTS.md. A machine that does something else meanwhile gives other figures.`;
}

const unknown = positionals.filter((name) => !(name in benchmarks));
const events = Number(values.events);
const seconds = Number(values.seconds);
if (values.help) {
  console.log(usage());
} else if (unknown.length > 0 || !(events >= 1_000) || !(seconds >= 1)) {
  console.error(unknown.length > 0 ? `${unknown.join(', ')}: no such benchmark.\n\n${usage()}` : usage());
  process.exitCode = 2;
} else {
  await runAll(positionals.length > 0 ? positionals : Object.keys(benchmarks));
}

async function runAll(names: readonly string[]): Promise<void> {
  const { date, commit, machine } = provenance();
  console.log(`${date}, commit ${commit}, ${machine}`);
  for (const name of names) {
    console.log(`\n${name}`);
    const result = await benchmarks[name]?.run({ events, seconds, say: (line) => console.log(`  ${line}`) });
    if (result === undefined) continue;
    console.log(`\n${markdown(result)}\n\nKept in ${keep(result)}`);
    if (values.publish) publish(result);
    if (result.verdicts.some(({ met }) => !met)) process.exitCode = 1;
  }
}
