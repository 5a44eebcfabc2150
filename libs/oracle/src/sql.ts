/** A quoted identifier, after checking that it is a plain one: names come from settings. */
export function identifier(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(name)) throw new Error(`not a schema name: ${JSON.stringify(name)}`);
  return `"${name}"`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

export function textArray(values: readonly string[]): string {
  return `array[${values.map(literal).join(', ')}]::text[]`;
}

/** A whole number as SQL, refused where it is none: it is written into statements as it is. */
export function wholeNumber(value: number): string {
  if (!Number.isSafeInteger(value)) throw new Error(`not a whole number: ${value}`);
  return String(value);
}

/** A duration in milliseconds as an interval of exact length (never calendar arithmetic). */
export function milliseconds(value: number): string {
  return `interval '${wholeNumber(value)} milliseconds'`;
}

// leakage-rules.md section 1, row "text".
const asciiSpace = String.raw`E' \t\r\n\f\v'`;

export function keyForm(expression: string): string {
  return `nullif(replace(lower(btrim(${expression}, ${asciiSpace}) collate "C"), ' ', '_'), '')`;
}

export function codeForm(expression: string): string {
  return `nullif(upper(btrim(${expression}, ${asciiSpace}) collate "C"), '')`;
}

/** Texts count with their first 1,000 characters. */
export function cutText(expression: string): string {
  return `left(${expression}, 1000)`;
}

/** An id as sent; an empty one is missing; compared as bytes. */
export function idForm(expression: string): string {
  return `nullif(${expression}, '') collate "C"`;
}

export function epochMs(expression: string): string {
  return `(extract(epoch from ${expression}) * 1000)::bigint`;
}
