import { styleText } from 'node:util';
import { behindWords, type Promotion } from '@leakage/postgres';
import type { GenerationReport, GenerationsReport, PromotionReport } from './read.ts';

const whole = new Intl.NumberFormat('en-US');
const header = ['', 'state', 'rules', 'read', 'behind', 'verified', 'created', 'note'];

/** One line for each generation, then who spoke when. */
export function generationLines({ generations, promotions }: GenerationsReport, trouble: string | null): string[] {
  const cells = generations.map(cellsOf);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('   ')
      .trimEnd();
  return [
    styleText('dim', line(header)),
    ...cells.map(line),
    ...(promotions.length > 0 ? ['', ...promotions.map(promotionLine)] : []),
    ...(trouble === null ? [] : ['', `${styleText('yellow', '!')} ${trouble}`]),
  ];
}

function cellsOf(one: GenerationReport): string[] {
  const { state, purpose, paused, rules, records, verified } = one;
  const words = [state, ...(purpose === 'what_if' ? ['what-if'] : []), ...(paused ? ['paused'] : [])].join(', ');
  if (state === 'dropped') return [String(one.id), words, rulesOf(one), '', '', '', day(one.createdAt), one.note ?? ''];
  const behind = {
    records: (records.of ?? records.read) - records.read,
    changes: one.changesBehind,
    begun: one.goldBegun,
  };
  return [
    String(one.id),
    words,
    rulesOf({ rules }),
    `${whole.format(records.read)}${records.of === null ? '' : ` of ${whole.format(records.of)}`}`,
    records.of === null ? '?' : (behindWords(behind) ?? 'nowhere'),
    verified === null ? 'never' : `${verified.ok ? 'equal' : 'differs'} ${minute(verified.at)}`,
    day(one.createdAt),
    [
      ...(one.source === 'bronze' ? ['from bronze'] : []),
      ...(one.partOf === null ? [] : [partWords(one.partOf)]),
      ...(one.note === null ? [] : [one.note]),
    ].join('; '),
  ];
}

const rulesOf = ({ rules }: Pick<GenerationReport, 'rules'>) =>
  `${rules.windowMinutes} min, ${rules.repeatScope}, ${rules.timeZone}`;

const partWords = ({ from, to }: NonNullable<GenerationReport['partOf']>) =>
  `of what Kafka got ${[...(from === null ? [] : [`from ${from}`]), ...(to === null ? [] : [`to ${to}`])].join(' ')}`;

function promotionLine({ kind, from, to, at, by, forced, reason }: PromotionReport): string {
  const what = kind === 'promote' ? `promoted ${to} over ${from}` : `rolled back from ${from} to ${to}`;
  return `${minute(at)}   ${what}${forced ? ', forced' : ''}, by ${by}${reason === null ? '' : `: ${reason}`}`;
}

/** What a promotion or a rollback has done. */
export function promotionLines({ kind, from, to, behind, heldMs }: Promotion): string[] {
  const late = behindWords(behind);
  return [
    kind === 'promote'
      ? `Generation ${to} is the active one now. Generation ${from} is fed on: npx leakage rollback goes back to it.`
      : `Generation ${to} is the active one again. Generation ${from} is fed on: npx leakage promote ${from} brings it back.`,
    `Silver of both stood still for ${(heldMs / 1000).toFixed(1)} s.`,
    ...(late === null
      ? []
      : [`It is behind generation ${from} (${late}): figures have gone back in time until it has caught up.`]),
  ];
}

const minute = (iso: string) => `${iso.slice(0, 16).replace('T', ' ')} UTC`;
const day = (iso: string) => iso.slice(0, 10);
