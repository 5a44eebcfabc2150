import { join } from 'node:path';
import { dataDirectory, readEnvironment } from '@leakage/runtime';
import type { Command } from 'commander';
import { openDataFolder } from '../../local/index.ts';
import { withDatabase } from '../connect.ts';
import { keepPresence } from '../generations/presence.ts';
import { GenerationRunner } from '../generations/runner.ts';
import { watchInterruption } from '../up/interruption.ts';
import { openScreen } from '../up/screen.ts';
import { startGeneration } from '../up/services.ts';

export function register(program: Command): void {
  program
    .command('run-generations')
    .summary('the processes of every generation but the active one')
    .description(
      'Runs silver-joiner and gold-aggregator for every generation that is being built or was active, as ops.generation says, ' +
        'until Ctrl-C; the active one has processes of its own, which were told no GENERATION. For containers and clusters: ' +
        'leakage up does all of this itself.',
    )
    .addHelpText('after', '\nExample:\n  $ npx leakage run-generations')
    .action(run);
}

async function run(): Promise<void> {
  const screen = openScreen(process.stdout);
  const interruption = watchInterruption();
  const folder = openDataFolder(join(dataDirectory(), 'generations'));
  try {
    await withDatabase('run-generations', async (pool) => {
      const env = { ...process.env, ...readEnvironment() };
      const runner = new GenerationRunner({
        db: pool,
        serves: ({ state }) => state !== 'active',
        start: (generation) => {
          screen.say(`Generation ${generation.id} is worked on`);
          return startGeneration({ folder, env, say: screen.say }, generation);
        },
        onBroken: (id, why) => screen.say(`Generation ${id} stands still: ${why}`),
        say: screen.say,
      });
      interruption.onInsist(() => runner.kill());
      await runner.start();
      await keepPresence(pool, interruption.signal);
      screen.say('Stopping ...');
      await runner.stop();
    });
  } finally {
    folder.release();
    interruption[Symbol.dispose]();
  }
}
