/** What a process may say last, as docs/reliability.md promises; each names the server or the cause. */
export const lastWords = {
  /** With a single broker kafkajs has nobody left to ask while it is away. */
  brokerGone:
    /the Kafka consumer of group \S+ ended: .*; the process has to be restarted|Kafka does not answer at .*: start it, or set KAFKA_BROKERS/,
  /** A jump of the clock makes kafkajs take a request that is under way for one without an answer. */
  requestTimedOut:
    /the Kafka consumer of group \S+ ended: Request \w+\(.*\) timed out; the process has to be restarted/,
  postgresGone: /Postgres does not answer at .*: start it, or set DATABASE_URL/,
  batchGivenUp: /a batch could not be applied \(\d+ attempts\): .*; nothing of it was kept/,
  /** A start whose connection to Postgres is cut is begun again by whoever supervises the process. */
  startCut: /^start failed: .*(?:terminat|connection|the database system is)/i,
} as const satisfies Record<string, RegExp>;

export function anyOf(...patterns: readonly RegExp[]): RegExp {
  return new RegExp(patterns.map(({ source, flags }) => `(?${flags}:${source})`).join('|'));
}
