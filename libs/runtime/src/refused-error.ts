/**
 * A server will not have us, or we will not trust it, until a person changes something: trying again is in vain.
 * `what` happened and where, and the `remedy`; the message is both.
 */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  /** For kafkajs, which then gives up at once. */
  readonly retriable = false;
  readonly what: string;
  readonly remedy: string;

  constructor(what: string, remedy: string, options?: ErrorOptions) {
    super(`${what}: ${remedy}`, options);
    this.what = what;
    this.remedy = remedy;
  }
}
