/** A quoted identifier, after checking that it is a plain one: names come from settings. */
export function identifier(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(name)) throw new Error(`not a schema name: ${JSON.stringify(name)}`);
  return `"${name}"`;
}

/** A whole number as SQL, refused where it is none: it is written into statements as it is. */
export function wholeNumber(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not a whole number: ${value}`);
  return String(value);
}

/** An instant as milliseconds, the same in every program whatever it makes of timestamps. */
export function epochMs(expression: string): string {
  return `(extract(epoch from ${expression}) * 1000)::float8`;
}

/** Columns of a row side by side, for `is distinct from`, which also compares nulls. */
export function rowOf(alias: string, columns: readonly string[]): string {
  return `(${columns.map((column) => `${alias}${column}`).join(', ')})`;
}

export const isoInstant = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());
