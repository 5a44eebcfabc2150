import type { Logger, Metrics } from '@leakage/runtime';
import type { Emission } from './domain/emission.ts';

const PROGRESS_MS = 2_000;
const SUMMARY_MS = 60_000;

/** Tells how far the stream is: often while the history is published, once a minute afterwards. */
export class Progress {
  readonly #log: Logger;
  readonly #count: (source: Emission['source'], records: number) => void;
  readonly #began: { at: number; wallMs: number };
  readonly #historyEnd: number;
  #simulated: number;
  #records = 0;
  #told: { records: number; wallMs: number };
  #historyTold: boolean;

  /** `from` and `historyEnd` are simulated instants; `lag` is what a scrape asks for. */
  constructor(o: { from: number; historyEnd: number; wallMs: number; log: Logger; metrics: Metrics }) {
    this.#log = o.log;
    this.#began = { at: o.from, wallMs: o.wallMs };
    this.#historyEnd = o.historyEnd;
    this.#simulated = o.from;
    this.#told = { records: 0, wallMs: o.wallMs };
    this.#historyTold = o.from >= o.historyEnd;
    const counter = o.metrics.counter({
      name: 'leakage_generator_records_total',
      help: 'Records that Kafka has acknowledged.',
      labels: ['source'],
    });
    this.#count = (source, records) => counter.inc({ source }, records);
    o.metrics.gauge({
      name: 'leakage_generator_simulated_seconds',
      help: 'Instant of sending of the latest record, as seconds since 1970.',
      collect: (gauge) => gauge.set(this.#simulated / 1000),
    });
    o.metrics.gauge({
      name: 'leakage_generator_history_ratio',
      help: 'Part of the history that is published; 1 when all of it is.',
      collect: (gauge) => gauge.set(this.#historyTold ? 1 : Math.min(0.999, this.#share())),
    });
  }

  sent(batch: readonly Emission[], wallMs: number): void {
    for (const [source, records] of Object.entries(Object.groupBy(batch, (emission) => emission.source))) {
      this.#count(source as Emission['source'], records.length);
    }
    this.#simulated = batch.at(-1)?.at ?? this.#simulated;
    this.#records += batch.length;
    this.tell(wallMs);
  }

  tell(wallMs: number): void {
    const elapsed = wallMs - this.#told.wallMs;
    if (elapsed < (this.#historyTold ? SUMMARY_MS : PROGRESS_MS)) return;
    const perSecond = Math.round(((this.#records - this.#told.records) / elapsed) * 1000);
    this.#told = { records: this.#records, wallMs };
    const simulated = new Date(this.#simulated).toISOString();
    if (this.#historyTold) this.#log.info({ records: this.#records, perSecond, simulated }, 'publishing live');
    else this.#log.info({ records: this.#records, perSecond, simulated, ...this.#rest(wallMs) }, 'publishing history');
  }

  /** Everything up to the end of the history is sent. */
  historySent(wallMs: number): void {
    if (this.#historyTold) return;
    this.#historyTold = true;
    const seconds = Math.max(0.001, (wallMs - this.#began.wallMs) / 1000);
    this.#told = { records: this.#records, wallMs };
    const perSecond = Math.round(this.#records / seconds);
    this.#log.info({ records: this.#records, seconds: Math.round(seconds * 10) / 10, perSecond }, 'history published');
  }

  #share(): number {
    return Math.max(0, (this.#simulated - this.#began.at) / (this.#historyEnd - this.#began.at));
  }

  #rest(wallMs: number): { percent: number; secondsLeft: number } {
    const share = Math.min(1, Math.max(0.001, this.#share()));
    return {
      percent: Math.round(share * 100),
      secondsLeft: Math.round(((wallMs - this.#began.wallMs) / 1000) * (1 / share - 1)),
    };
  }
}
