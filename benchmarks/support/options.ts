export interface BenchOptions {
  /** Records to replay. */
  readonly events: number;
  /** How long a load lasts. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}
