import { topicTable } from '@leakage/schemas';
import type { Command } from 'commander';
import { connectKafka, withDatabase } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { generationLines } from '../generations/lines.ts';
import { readGenerations } from '../generations/read.ts';
import { endsOrTrouble } from '../status/ends.ts';

export function register(program: Command): void {
  program
    .command('generations')
    .summary('every generation: state, rules, progress, verified when')
    .description(
      'Lists the generations of silver and gold: which one is active, which are built or kept beside it, by which rules each was ' +
        'computed, how far it has read, when it was verified; and the latest promotions.',
    )
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage generations\n  $ npx leakage generations --json | jq \'.generations[] | select(.state == "active").id\'',
    )
    .action(generations);
}

async function generations(options: { readonly json?: true }): Promise<void> {
  const { kafka, topicPrefix } = connectKafka('generations');
  const ends = await endsOrTrouble(
    kafka,
    topicTable(topicPrefix).map((topic) => topic.name),
  );
  const found = await withDatabase('generations', async (pool) => {
    await existingGeneration(pool);
    return await readGenerations(pool, typeof ends === 'string' ? null : ends);
  });
  const trouble = typeof ends === 'string' ? ends : null;
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...found, trouble }, null, 2)}\n`
      : `${generationLines(found, trouble).join('\n')}\n`,
  );
}
