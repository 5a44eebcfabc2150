import { parseInstant } from '@leakage/schemas';
import { InvalidArgumentError } from 'commander';
import { wholeNumber } from '../whole-number.ts';
import { type Position, positionOf } from './position.ts';

// What the words of a command line mean; each throws InvalidArgumentError for what it does not understand.

export function position(text: string): Position {
  const found = positionOf(text);
  if (found === null) throw new InvalidArgumentError('topic/partition/offset is wanted, such as leakage.calls/3/4711');
  return found;
}

export function positions(text: string, before: readonly Position[] = []): readonly Position[] {
  return [...before, position(text)];
}

export const positive = wholeNumber(1);

export function runName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/.test(text)) return text;
  throw new InvalidArgumentError('up to 100 letters, digits, dots, colons, dashes and underscores are wanted');
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export function since(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const found = count === undefined ? parseInstant(text) : Date.now() - Number(count) * (unitMs[unit] ?? 0);
  if (found === null) throw new InvalidArgumentError('2026-11-29T08:00:00Z, 90m, 24h or 7d is wanted');
  return found;
}
