import { type Health, type Logger, RefusedError, sleep } from '@leakage/runtime';
import { contracts, type LearningReader, type Readers, SOURCES, type Source } from '@leakage/schemas';
import { type FoundSchema, RegistryClient } from './client.ts';
import { RegistrySilentError } from './errors.ts';

/** Questions under way at a time. */
const QUESTIONS_AT_ONCE = 8;
/**
 * Schemas known for one topic. With more, all are forgotten before the next batch, and what that needs is asked for again:
 * within a batch nothing that it needs may be forgotten.
 */
const KNOWN_MAX = 250;
/** How long an id that the registry does not have is believed not to be there. */
const NOT_THERE_MS = 60_000;
/** Ids that are believed not to be there, at most: random bytes look like ids. */
const NOT_THERE_MAX = 10_000;
const PAUSE_MS = { first: 200, most: 5_000 } as const;

const CHECK = 'schema registry';

/** What was learned of a registry before: it answers while the registry does not, also after a restart. */
export interface SchemaStore {
  load(registry: string, id: number): Promise<string | null>;
  save(registry: string, id: number, schema: string): Promise<void>;
}

/** The part of a batch that comes from one topic. */
export interface RecordsOf {
  readonly source: Source;
  readonly records: readonly { readonly value: Buffer | null }[];
}

/** How a consumer reads values. */
export interface Reading {
  readonly readers: Readers;
  /**
   * Before a batch is decoded: learns the schemas that it needs and that are not known yet. Decoding is then without waiting.
   * Throws when the registry has not answered for too long: what is quarantined is a function of the record alone (law 3),
   * so a record whose schema nobody can tell waits.
   */
  learn(batch: readonly RecordsOf[]): Promise<void>;
}

export interface ReadingOptions {
  /** Undefined: ids are those of the contracts' own table, and there is nothing to learn. */
  readonly url: string | undefined;
  /** How long records of an unknown schema wait for the registry before the process ends. */
  readonly waitMs: number;
  readonly store: SchemaStore;
  readonly log: Logger;
  readonly health: Health;
  readonly signal: AbortSignal;
}

/** Without a registry: ids are those of the contracts, and there is nothing to learn. */
export const contractReading: Reading = { readers: contracts, learn: async () => undefined };

/** Asks nothing yet: a registry that is down stops no start. */
export function openReaders(o: ReadingOptions): Reading {
  if (o.url === undefined) return contractReading;
  o.health.setReady(CHECK, true);
  return new LearningReaders(new RegistryClient(o.url), o);
}

type Own = { readonly [S in Source]: LearningReader<unknown> };

class LearningReaders implements Reading {
  readonly readers: Readers;
  readonly #own: Own;
  readonly #client: RegistryClient;
  readonly #o: ReadingOptions;
  /** Until when an id is believed not to be there, by the monotonic clock. */
  readonly #notThere = new Map<number, number>();

  constructor(client: RegistryClient, o: ReadingOptions) {
    const readers = {
      journeys: contracts.journeys.learningReader(),
      calls: contracts.calls.learningReader(),
      members: contracts.members.learningReader(),
    };
    this.readers = readers;
    this.#own = readers;
    this.#client = client;
    this.#o = o;
  }

  async learn(batch: readonly RecordsOf[]): Promise<void> {
    for (const source of SOURCES) if (this.#own[source].known > KNOWN_MAX) this.#own[source].forget();
    const wanted = this.#missing(batch);
    if (wanted.length === 0) return;
    const end = performance.now() + this.#o.waitMs;
    const ask = async (): Promise<void> => {
      for (let next = wanted.pop(); next !== undefined; next = wanted.pop()) await this.#learnOne(next, end);
    };
    await Promise.all(Array.from({ length: Math.min(QUESTIONS_AT_ONCE, wanted.length) }, ask));
    this.#o.health.setReady(CHECK, true);
  }

  /** Looks at every record, so it does nothing but compare numbers. */
  #missing(batch: readonly RecordsOf[]): { source: Source; id: number }[] {
    const found = new Map<Source, Set<number>>();
    for (const { source, records } of batch) {
      const reader = this.#own[source];
      for (const { value } of records) {
        const id = reader.missing(value);
        if (id === null || this.#isNotThere(id)) continue;
        const ids = found.get(source);
        if (ids === undefined) found.set(source, new Set([id]));
        else ids.add(id);
      }
    }
    return SOURCES.flatMap((source) => [...(found.get(source) ?? [])].map((id) => ({ source, id })));
  }

  #isNotThere(id: number): boolean {
    const until = this.#notThere.get(id);
    if (until === undefined) return false;
    if (until > performance.now()) return true;
    this.#notThere.delete(id);
    return false;
  }

  async #learnOne({ source, id }: { source: Source; id: number }, end: number): Promise<void> {
    const found = await this.#found(id, end);
    if (found === null) {
      const oldest = this.#notThere.keys().next();
      if (this.#notThere.size >= NOT_THERE_MAX && oldest.done !== true) this.#notThere.delete(oldest.value);
      this.#notThere.set(id, performance.now() + NOT_THERE_MS);
      this.#o.log.warn(
        { source, id, registry: this.#client.name },
        'the registry has no schema of this id: its records are quarantined',
      );
      return;
    }
    const parsed = found.kind === 'avro' ? parsedOf(found.schema) : null;
    const refused = this.#own[source].learn(id, parsed);
    const why = found.kind === 'other' ? found.why : refused;
    if (why === null) this.#o.log.info({ source, id }, 'schema learned');
    else this.#o.log.warn({ source, id, why }, 'a schema cannot be read as ours: its records are quarantined');
  }

  /** What the registry has; else what was learned of it before; null: it says that there is no such id. */
  async #found(id: number, end: number): Promise<FoundSchema | null> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#asked(id);
      if (!(answer instanceof Error) && answer !== null) return answer;
      // A schema never changes under its id, so what was once learned is as good as an answer, also after it was deleted.
      const stored = await this.#stored(id);
      if (stored !== null) return { kind: 'avro', schema: stored };
      if (answer === null) return null;
      await this.#waitFor(id, { answer, attempt, end });
    }
  }

  /** An error that is no answer about the id: a proxy that refuses may stand before a registry that is down. */
  async #asked(id: number): Promise<FoundSchema | null | Error> {
    try {
      const found = await this.#client.schemaById(id, this.#o.signal);
      if (found?.kind === 'avro') await this.#save(id, found.schema);
      return found;
    } catch (error) {
      if (error instanceof RegistrySilentError || error instanceof RefusedError) return error;
      throw error;
    }
  }

  async #waitFor(id: number, o: { answer: Error; attempt: number; end: number }): Promise<void> {
    const { health, log, waitMs, signal } = this.#o;
    const waiting = `records of schema id ${id} wait: ${o.answer.message}`;
    if (o.attempt === 0) log.warn({ err: o.answer }, waiting);
    health.setReady(CHECK, false, waiting);
    const leftMs = o.end - performance.now();
    if (leftMs <= 0) {
      throw new Error(
        `${o.answer.message}; records of schema id ${id} have waited ${Math.round(waitMs / 1000)} s for it, and nothing of their batch was kept: ` +
          'start the registry, or check SCHEMA_REGISTRY_URL; the process goes on from its positions when it is started again',
        { cause: o.answer },
      );
    }
    await sleep(Math.min(leftMs, PAUSE_MS.most, PAUSE_MS.first * 2 ** o.attempt), signal);
  }

  async #stored(id: number): Promise<string | null> {
    try {
      return await this.#o.store.load(this.#client.name, id);
    } catch (error) {
      this.#o.log.warn({ err: error, id }, 'what was learned of the registry cannot be read now');
      return null;
    }
  }

  async #save(id: number, schema: string): Promise<void> {
    try {
      await this.#o.store.save(this.#client.name, id, schema);
    } catch (error) {
      this.#o.log.warn(
        { err: error, id },
        'a learned schema was not stored: after a restart the registry must answer for it',
      );
    }
  }
}

/** Undefined for what is no JSON, which is no schema either. */
function parsedOf(schema: string): unknown {
  try {
    return JSON.parse(schema);
  } catch {
    return undefined;
  }
}
