import { readFileSync } from 'node:fs';
import { ensureGeneration, type Generation, loadGeneration, type Pool, wasDropped } from '@leakage/postgres';
import { type Environment, SettingsError, settingsSet } from '@leakage/runtime';
import { PARTITIONS } from '@leakage/schemas';
import { ruleSettings, type SilverSettings } from './config.ts';
import { DEFAULT_REASON_TABLE, parseReasonTable, type ReasonTable } from './domain/reason-table.ts';
import { RULES_VERSION, type Rules, rulesDifferences } from './domain/rules.ts';

type RuleSettings = Pick<SilverSettings, 'windowMinutes' | 'repeatScope' | 'reasonTable' | 'timeZone'>;

function reasonsOf(path: string | undefined): ReasonTable {
  if (path === undefined) return DEFAULT_REASON_TABLE;
  try {
    return parseReasonTable(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`REASON_TABLE ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** The rules that a new generation would get from these settings. */
export function rulesOf(settings: RuleSettings): Rules {
  return {
    windowMs: settings.windowMinutes * 60_000,
    timeZone: settings.timeZone,
    repeatScope: settings.repeatScope,
    reasons: reasonsOf(settings.reasonTable),
  };
}

/** Only what somebody set on purpose can disagree with a generation: defaults may change between releases. */
export function explicitRules(rules: Rules, env?: Environment): Partial<Rules> {
  const named = settingsSet(ruleSettings, env);
  return {
    ...(named.has('LEAKAGE_WINDOW_MINUTES') ? { windowMs: rules.windowMs } : {}),
    ...(named.has('TIME_ZONE') ? { timeZone: rules.timeZone } : {}),
    ...(named.has('REPEAT_SCOPE') ? { repeatScope: rules.repeatScope } : {}),
    ...(named.has('REASON_TABLE') ? { reasons: rules.reasons } : {}),
  };
}

/**
 * The generation to work on, made with `rules` if it does not exist. Rules are never mixed within a generation: throws
 * SettingsError (starting again would not help) when they are not those that somebody set, or not those of this code.
 */
export async function openGeneration(
  pool: Pool,
  id: number,
  { rules, explicit }: { readonly rules: Rules; readonly explicit: Partial<Rules> },
): Promise<Generation> {
  const { reasons } = rules;
  const generation = await ensureGeneration(pool, id, {
    rules: { ...rules, reasons: { ...reasons, journeyTypes: [...reasons.journeyTypes] } },
    rulesVersion: RULES_VERSION,
    shards: PARTITIONS,
  });
  const problems = misfits(generation, explicit);
  if (problems.length > 0) throw new SettingsError(problems);
  return generation;
}

/** Why this program could not work on a generation, in sentences. */
export async function generationProblems(pool: Pool, id: number, explicit: Partial<Rules>): Promise<string[]> {
  const generation = await loadGeneration(pool, id);
  return generation === null ? [`generation ${id} (GENERATION) does not exist`] : misfits(generation, explicit);
}

function misfits(generation: Generation, explicit: Partial<Rules>): string[] {
  const { id } = generation;
  if (generation.state === 'dropped') return [wasDropped(id)];
  if (generation.rulesVersion !== RULES_VERSION) {
    return [
      `generation ${id} was made by version ${generation.rulesVersion} of the rules, this program has version ` +
        `${RULES_VERSION}: set GENERATION to a new number to compute everything anew beside it, or run the program that made it`,
    ];
  }
  const differences = rulesDifferences(explicit, generation.rules);
  if (differences.length === 0) return [];
  return [
    `generation ${id} was made with other rules: ${differences.join('; ')}. Unset what differs to go on with it, ` +
      'or set GENERATION to a new number to compute everything anew beside it',
  ];
}
