import { type Logger, RefusedError, retry } from '@leakage/runtime';
import {
  changes,
  contracts,
  type Encoder,
  type Encoders,
  type EventOf,
  type LeakageChange,
  SOURCES,
  type Source,
  topicName,
} from '@leakage/schemas';
import { RegistryClient } from './client.ts';
import { RegistrySilentError } from './errors.ts';

/** How long a producer waits for the registry at its start: about 40 s, and the time of the answers. */
const PATIENCE = { attempts: 12, baseMs: 200, maxMs: 5_000 } as const;

export interface EncodersOptions {
  /** Undefined: ids are those of the contracts' own table. */
  readonly url: string | undefined;
  /** Whether a schema that is not registered yet may be. */
  readonly register: boolean;
  readonly topicPrefix: string;
  /** Versions to write that are not the newest. */
  readonly versions?: { readonly [S in Source]?: number };
  readonly sources?: readonly Source[];
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/** The encoders of a producer, under the ids of the registry where there is one. */
export async function openEncoders(o: EncodersOptions): Promise<Encoders> {
  const client = o.url === undefined ? null : new RegistryClient(o.url);
  const ids: Partial<Record<Source, number>> = {};
  if (client !== null) for (const source of o.sources ?? SOURCES) ids[source] = await idOf(source, client, o);
  return {
    journeys: encoderOf('journeys', o, ids.journeys),
    calls: encoderOf('calls', o, ids.calls),
    members: encoderOf('members', o, ids.members),
  };
}

function encoderOf<S extends Source>(source: S, o: EncodersOptions, id: number | undefined): Encoder<EventOf[S]> {
  const { version, id: fixed } = versionOf(source, o);
  // In a registry the fixed id stands for something else.
  if (o.url !== undefined && id === undefined) return { encode: () => notAskedFor(source) };
  return contracts[source].encoder({ version, id: id ?? fixed }) as Encoder<EventOf[S]>;
}

function notAskedFor(source: Source): never {
  throw new Error(`no id of the schema of ${source} was asked for`);
}

function versionOf(source: Source, { versions }: EncodersOptions) {
  const all = contracts[source].versions;
  const wanted = versions?.[source];
  const found = wanted === undefined ? all.at(-1) : all.find(({ version }) => version === wanted);
  if (found === undefined) throw new RangeError(`the contract of ${source} has no version ${wanted}`);
  return found;
}

export type ChangesEncoderOptions = Pick<EncodersOptions, 'url' | 'register' | 'topicPrefix' | 'log' | 'signal'>;

/** The encoder of whoever tells the world what changes, likewise. */
export async function openChangesEncoder(o: ChangesEncoderOptions): Promise<Encoder<LeakageChange>> {
  if (o.url === undefined) return changes;
  return changes.encoder(await registeredId({ ...changes, topic: 'changes' }, new RegistryClient(o.url), o));
}

async function idOf(source: Source, client: RegistryClient, o: EncodersOptions): Promise<number> {
  return await registeredId({ ...versionOf(source, o), topic: source }, client, o);
}

interface Subject {
  readonly topic: Source | 'changes';
  readonly version: number;
  readonly schema: { readonly name: string };
}

/** Subjects are named after topics, as every Confluent client does by default. */
async function registeredId(
  { topic, version, schema }: Subject,
  client: RegistryClient,
  o: ChangesEncoderOptions,
): Promise<number> {
  const subject = `${topicName(o.topicPrefix, topic)}-value`;
  const text = JSON.stringify(schema);
  const patiently = <T>(ask: () => Promise<T>): Promise<T> =>
    retry(ask, {
      ...PATIENCE,
      ...(o.signal === undefined ? {} : { signal: o.signal }),
      retryable: (error) => error instanceof RegistrySilentError,
      onRetry: (error, attempt) => o.log.warn({ err: error, attempt }, 'waiting for the schema registry'),
    });
  const found = await patiently(() => client.idOf(subject, text, o.signal));
  if (found !== null) return found;
  if (!o.register) {
    throw new RefusedError(
      `version ${version} of the schema of ${topic} is not registered under ${subject} at ${client.name}`,
      `register ${schema.name} there, or set SCHEMA_REGISTRY_REGISTER=true to have it done at the start`,
    );
  }
  const id = await patiently(() => client.register(subject, text, o.signal));
  o.log.info({ subject, version, id }, 'schema registered');
  return id;
}
