/** What the global setup of a run hands to every test file. */
export interface ProvidedStack {
  readonly brokers: string;
  readonly adminUrl: string;
  /** Where the servers came from, in words. */
  readonly origin: string;
  /** Begins the name of everything that this run creates on the servers, so that it can be removed afterwards. */
  readonly run: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    leakageStack: ProvidedStack;
  }
}
