import { type Command, InvalidArgumentError, Option } from 'commander';
import { askGenerator, type Change, type Disturbance, type GeneratorStatus } from '../simulate/generator-client.ts';
import { changeLine, disturbanceLine, statusLines } from '../simulate/report.ts';

interface Common {
  readonly outputPath?: string;
  readonly json?: true;
}

interface ScopeOptions extends Common {
  readonly journey?: string;
  readonly errorCode?: string;
  readonly device?: string;
  readonly category?: string;
  readonly language?: string;
  readonly multiply: number;
  readonly repeats: number;
  readonly rolloutDays: number;
}

const sources = ['journeys', 'calls', 'members'];

export function register(program: Command): void {
  const simulate = program
    .command('simulate')
    .summary('change or disturb the world of a running generator')
    .description(
      'Steers the generator that runs with this data folder: heals a failure or makes one worse, disturbs the feeds, pauses ' +
        'and steps. What is done is kept with the state of the world and written into its truth file.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage simulate fix\n  $ npx leakage simulate fix --journey id_card --language Spanish --multiply 0.5 --rollout-days 3\n' +
        '  $ npx leakage simulate incident --error-code ERR_RX_NETWORK --multiply 4\n  $ npx leakage simulate outage --source calls --minutes 40\n' +
        '  $ npx leakage simulate status',
    );

  command(simulate, 'status', 'where the world is, and what was done to it').action(async (o: Common) => {
    const status = await askGenerator<GeneratorStatus>(o.outputPath, '/status');
    print(o, status, statusLines(status));
  });
  registerChanges(simulate);
  registerDisturbances(simulate);
  registerClock(simulate);
}

function registerChanges(simulate: Command): void {
  scoped(command(simulate, 'fix', 'heal failures: journeys that would fail are completed'), 3150 / 3900, 0.2)
    .description(
      'Heals failures from the next simulated hour on. Without options it is the example: leakage of the eligibility error ' +
        'x 0.808 and a fifth of the induced calls, so that billing leakage falls by about 15 %.',
    )
    .action(async (o: ScopeOptions) => {
      await change(o, o.journey ?? o.errorCode ?? o.device ?? o.category ?? o.language);
    });
  scoped(command(simulate, 'incident', 'make failures more frequent from the next simulated hour on'), 2, 1).action(
    async (o: ScopeOptions) => {
      await change(o, 'as given');
    },
  );
}

async function change(o: ScopeOptions, scopeGiven: string | undefined): Promise<void> {
  const scope = {
    journeyType: o.journey,
    errorCode: scopeGiven === undefined ? 'ERR_BILLING_ELIGIBILITY' : o.errorCode,
    deviceType: o.device,
    category: o.category,
    language: o.language,
  };
  const body = { ...scope, leakage: o.multiply, repeats: o.repeats, rolloutDays: o.rolloutDays };
  const made = await askGenerator<Change>(o.outputPath, '/changes', body);
  print(o, made, [changeLine(made)]);
}

function registerDisturbances(simulate: Command): void {
  const disturb = async (o: Common, body: Readonly<Record<string, unknown>>): Promise<void> => {
    const made = await askGenerator<Disturbance>(o.outputPath, '/disturbances', body);
    print(o, made, [disturbanceLine(made)]);
  };
  lasting(sourced(command(simulate, 'outage', 'a feed is silent; what it holds back comes afterwards')), 40)
    .option('--lost', 'what is not sent never comes')
    .action((o: Common & { source: string; minutes: number; lost?: true }) =>
      disturb(o, { kind: 'outage', source: o.source, minutes: o.minutes, lost: o.lost === true }),
    );
  lasting(command(simulate, 'duplicates', 'every record is sent several times'), 15)
    .addOption(new Option('--source <name>', 'of this feed only').choices(sources))
    .option('--times <n>', 'how often each record is sent', number, 3)
    .action((o: Common & { source?: string; minutes: number; times: number }) =>
      disturb(o, { kind: 'duplicates', source: o.source, minutes: o.minutes, copies: o.times }),
    );
  lasting(sourced(command(simulate, 'delay', 'one partition comes late')), 40)
    .requiredOption('--partition <n>', 'which one', number)
    .option('--late-minutes <n>', 'how late its records are sent', number, 90)
    .action((o: Common & { source: string; minutes: number; partition: number; lateMinutes: number }) =>
      disturb(o, {
        kind: 'delay',
        source: o.source,
        minutes: o.minutes,
        partition: o.partition,
        delayMinutes: o.lateMinutes,
      }),
    );
  lasting(sourced(command(simulate, 'schema-change', 'records come with a field nobody knows')), 15)
    .option('--breaking', 'the member id is an object instead: such records are quarantined')
    .action((o: Common & { source: string; minutes: number; breaking?: true }) =>
      disturb(o, { kind: 'schema', source: o.source, minutes: o.minutes, breaking: o.breaking === true }),
    );
}

function registerClock(simulate: Command): void {
  const steer = async (o: Common, path: string, body: Readonly<Record<string, unknown>> = {}): Promise<void> => {
    const status = await askGenerator<GeneratorStatus>(o.outputPath, path, body);
    print(o, status, statusLines(status));
  };
  command(simulate, 'pause', 'send nothing more').action((o: Common) => steer(o, '/pause'));
  command(simulate, 'resume', 'go on').action((o: Common) => steer(o, '/resume'));
  command(simulate, 'step', 'while paused: let simulated time go on')
    .argument('<minutes>', 'how far, never past the clock', number)
    .action((minutes: number, o: Common) => steer(o, '/step', { minutes }));
  command(simulate, 'speed', 'simulated seconds in a second, while the world is behind the clock')
    .argument('<n>', '1 to 3600', number)
    .action((speed: number, o: Common) => steer(o, '/speed', { speed }));
}

function command(simulate: Command, name: string, help: string): Command {
  return simulate
    .command(name)
    .summary(help)
    .description(`${help[0]?.toUpperCase()}${help.slice(1)}.`)
    .option('--output-path <folder>', 'of the generator (default: OUTPUT_PATH, or generator in the data folder)')
    .option('--json', 'one JSON document on stdout');
}

function scoped(change: Command, multiply: number, repeats: number): Command {
  return change
    .option('--journey <type>', 'billing, id_card or pharmacy')
    .option('--error-code <code>', 'such as ERR_RX_NETWORK')
    .option('--device <type>', 'mobile, desktop or tablet')
    .option('--category <name>', 'MAPD New, MAPD Tenured or Commercial')
    .option('--language <name>', 'English, Spanish or Other')
    .option('--multiply <n>', 'leakage calls for each that there was, induced ones included', number, multiply)
    .option('--repeats <n>', 'induced calls for each that there was', number, repeats)
    .option('--rollout-days <n>', 'until the whole effect', number, 0);
}

function sourced(disturbance: Command): Command {
  return disturbance.addOption(new Option('--source <name>', 'which feed').choices(sources).default('journeys'));
}

function lasting(disturbance: Command, minutes: number): Command {
  return disturbance.option('--minutes <n>', 'of simulated time, from the next record on', number, minutes);
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('a number is wanted');
  return value;
}

function print(o: Common, document: unknown, lines: readonly string[]): void {
  process.stdout.write(o.json ? `${JSON.stringify(document, null, 2)}\n` : lines.map((line) => `${line}\n`).join(''));
}
