/** 1: failed. 2: wrong usage. 3: a check says no. */
export type ExitCode = 1 | 2 | 3;

/** Ends a command with a sentence for people (no stack) and an exit code. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = exitCode;
  }
}
