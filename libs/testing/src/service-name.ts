/** The services of the product, as their folders are called. */
export type ServiceName = 'bronze-sink' | 'silver-joiner' | 'gold-aggregator' | 'api' | 'generator';
