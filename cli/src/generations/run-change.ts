import {
  createPool,
  insufficientPrivilege,
  type Pool,
  PromotionHeldUpError,
  PromotionRefusedError,
  sqlState,
} from '@leakage/postgres';
import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import { databaseUrl, quietLogger, withDatabase } from '../connect.ts';
import type { Schemas } from '../init/grants.ts';
import { openScreen, type Screen } from '../up/screen.ts';

/** What a command that changes generations works with. */
export interface ChangeContext {
  readonly pool: Pool;
  readonly schemas: Schemas;
  /** The schemas that a generation has, by their stable names. */
  readonly layers: readonly string[];
  readonly screen: Screen;
}

/** The transaction, and whoever looks who is in its way. */
const connections = 3;

/** Runs a change of generations as the owner; what is refused ends the command with code 3, what did not get through with 1. */
export async function runChange<T>(
  command: string,
  work: (context: ChangeContext) => Promise<T>,
  guards: { readonly statementTimeoutMs?: number } = {},
): Promise<T> {
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  // Says in one sentence that Postgres does not answer.
  await withDatabase(command, async () => undefined);
  const pool = createPool({
    url: databaseUrl(),
    applicationName: `leakage-${command}`,
    max: connections,
    ...guards,
    log: quietLogger(command),
  });
  const screen = openScreen(process.stderr);
  try {
    return await work({
      pool,
      schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
      layers: [silverSchema, goldSchema],
      screen,
    });
  } catch (error) {
    throw explained(error, command);
  } finally {
    screen.renew('');
    await pool.stop();
  }
}

function explained(error: unknown, command: string): unknown {
  if (error instanceof PromotionRefusedError) return new CommandError(error.message, 3, { cause: error });
  if (error instanceof PromotionHeldUpError) return new CommandError(error.message, 1, { cause: error });
  if (sqlState(error) === '42P01') {
    return new CommandError('This database holds no generation yet: start the pipeline with npm start.', 1, {
      cause: error,
    });
  }
  if (sqlState(error) !== insufficientPrivilege) return error;
  return new CommandError(
    `The login of DATABASE_URL may not do that (${error instanceof Error ? error.message : String(error)}): leakage ${command} is run by the owner of the database.`,
    1,
    { cause: error },
  );
}
