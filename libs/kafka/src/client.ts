import type { Logger } from '@leakage/runtime';

export interface KafkaClient {
  readonly clientId: string;
  readonly brokers: readonly string[];
}

export declare function createKafkaClient(o: {
  brokers: readonly string[];
  clientId: string;
  log: Logger;
}): KafkaClient;
