/**
 * The same value with its keys as the api writes them: `leakageCalls` becomes `leakage_calls`. For plain data whose keys are
 * names of fields; data in the place of keys would be changed too.
 */
export function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [snakeName(key), snakeCased(entry)]));
}

function snakeName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
