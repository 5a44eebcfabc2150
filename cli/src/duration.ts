const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Milliseconds of a whole number and its unit (`90s`, `30m`, `6h`, `1d`), or null: at least a second, at most a month. */
export function parseDuration(text: string): number | null {
  const [, digits, unit] = /^(\d{1,9})([smhd])$/.exec(text.trim().toLowerCase()) ?? [];
  if (digits === undefined || unit === undefined) return null;
  const ms = Number(digits) * units[unit as keyof typeof units];
  return ms >= units.s && ms <= 31 * units.d ? ms : null;
}

export const durationKind = 'a number with s, m, h or d, such as 30m or 6h, from 1s to 31d';
