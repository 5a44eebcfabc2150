import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import type { Command } from 'commander';
import { connectKafka, withDatabase } from '../connect.ts';
import { endsOrTrouble } from '../status/ends.ts';
import { statusLines } from '../status/lines.ts';
import { readStatus } from '../status.ts';

export function register(program: Command): void {
  program
    .command('status')
    .summary('one screen: topics, lag, rows, outcomes, figures')
    .description(
      'Shows where the pipeline stands: end offsets and lag per topic, watermarks, rates measured over a second, rows per ' +
        'layer, whether every record had one outcome, quarantine, quick checks, and what leakage costs per journey.',
    )
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExamples:\n  $ npx leakage status\n  $ npx leakage status --json | jq .caughtUp')
    .action(status);
}

async function status(options: { readonly json?: true }): Promise<void> {
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  const { kafka, topicPrefix } = connectKafka('status');
  const topics = topicTable(topicPrefix).map((topic) => topic.name);
  const found = await withDatabase('status', (pool) =>
    readStatus({
      pool,
      topics,
      schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
      ends: () => endsOrTrouble(kafka, topics),
    }),
  );
  process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : `${statusLines(found).join('\n')}\n`);
}
