import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from '@prometheus-io/client';

export type { Counter, Gauge, Histogram } from '@prometheus-io/client';

export interface MetricOptions<L extends string> {
  /** `leakage_<what>_<unit>`, counters end in `_total`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

/** The metrics of one process. Asking twice for a name gives the same metric. */
export class Metrics {
  readonly #registry = new Registry();

  /** Adds the process's own figures (memory, event loop, garbage collection); once per process. */
  collectProcessMetrics(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  counter<L extends string = never>(options: MetricOptions<L>): Counter<L> {
    return this.#known<Counter<L>>(options.name) ?? new Counter<L>(this.#configuration(options));
  }

  /** `collect` runs at each scrape and sets the value itself. */
  gauge<L extends string = never>(
    options: MetricOptions<L> & { readonly collect?: (gauge: Gauge<L>) => void | Promise<void> },
  ): Gauge<L> {
    const known = this.#known<Gauge<L>>(options.name);
    if (known !== undefined) return known;
    const { collect } = options;
    const gauge: Gauge<L> = new Gauge<L>({
      ...this.#configuration(options),
      ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
    });
    return gauge;
  }

  /** `buckets` are upper bounds in the unit of the name. */
  histogram<L extends string = never>(
    options: MetricOptions<L> & { readonly buckets: readonly number[] },
  ): Histogram<L> {
    const configuration = { ...this.#configuration(options), buckets: [...options.buckets] };
    return this.#known<Histogram<L>>(options.name) ?? new Histogram<L>(configuration);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #known<M>(name: string): M | undefined {
    return this.#registry.getSingleMetric(name) as M | undefined;
  }

  #configuration<L extends string>({ name, help, labels = [] }: MetricOptions<L>) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}
