import { relative } from 'node:path';
import { styleText } from 'node:util';
import type { Pool } from '@leakage/postgres';
import { withoutPassword } from '@leakage/runtime';
import type { LocalStack } from '../../local/index.ts';
import type { Progress } from './progress.ts';
import { type SummaryRow, summaryTable } from './screen.ts';
import type { UpSettings } from './settings.ts';

export interface SummaryOptions {
  readonly pool: Pool;
  readonly stack: LocalStack;
  readonly settings: UpSettings;
  readonly apiUrl: string;
  readonly envFile: string;
  readonly progress: Progress;
}

/** What there is to see, where it is, and what to try next. */
export async function summary(o: SummaryOptions): Promise<string[]> {
  const rows = o.progress.calls > 0 ? await figures(o.pool, o.settings.goldSchema) : [];
  const here = (path: string) => relative(process.cwd(), path) || path;
  const title = (text: string) => styleText('bold', text);
  return [
    '',
    title(
      rows.length > 0
        ? 'Leakage is live'
        : 'Ready: no calls yet. Send events to the topics, or npx leakage import <folder>',
    ),
    ...(rows.length > 0 ? ['', ...summaryTable(rows)] : []),
    '',
    `  api        ${o.apiUrl}  (pages for people: ${o.apiUrl}/docs)`,
    `  database   ${withoutPassword(o.stack.databaseUrl)}`,
    `  Kafka      ${o.stack.brokers}`,
    `  logs       ${here(o.stack.folder.logs)}`,
    '',
    title('Try next, in another terminal'),
    '  npx leakage status            topics, lag, rows per layer, figures',
    '  npx leakage verify            recomputes everything with plain SQL and compares',
    '  npx leakage compare-naive     what the usual join would have said',
    `  curl ${o.apiUrl}/v1/daily-leakage-summary`,
    `  . ${here(o.envFile)}; psql "$DATABASE_URL" -c 'select * from gold.savings_model'`,
    '',
    'Ctrl-C stops everything; the data stay for the next start.',
    '',
  ];
}

/** The first of the queries that people know, with the schema that this installation has. */
async function figures(pool: Pool, goldSchema: string): Promise<SummaryRow[]> {
  const { rows } = await pool.query<SummaryRow>(
    `select leakage_type as journey, sum(daily_calls)::text as daily_calls, sum(daily_cost)::text as daily_cost,
            max(segment) as primary_segment, max(trend_pct)::text as trend
       from ${goldSchema}.daily_leakage_summary
      group by leakage_type
      order by sum(daily_calls) desc, leakage_type`,
  );
  return rows;
}
