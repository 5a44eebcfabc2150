/** Something is missing or wrong on this machine: one sentence that says what, and one that says what to do. */
export class Problem extends Error {
  readonly what: string;
  readonly remedy: string;
  /** For code that can do something about it. */
  readonly reason: 'in-use' | null;

  constructor(what: string, remedy: string, options?: ErrorOptions & { reason?: 'in-use' }) {
    super(`${what} ${remedy}`, options);
    this.name = 'Problem';
    this.what = what;
    this.remedy = remedy;
    this.reason = options?.reason ?? null;
  }
}

/** The text of anything thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Node's error code (`ENOENT`, `EADDRINUSE`, ...), where the error has one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
