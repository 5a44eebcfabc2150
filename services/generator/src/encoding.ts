import type { OutgoingRecord } from '@leakage/kafka';
import { type Encoders, type Source, shardOf, topicName } from '@leakage/schemas';
import type { Damage, Emission } from './domain/emission.ts';

/** The bytes of a record as Kafka gets them. */
export class Encoder {
  readonly #topics: Readonly<Record<Source, string>>;
  readonly #partitions: ReadonlyMap<string, number>;
  readonly #encoders: Encoders;

  constructor(o: { topicPrefix: string; partitions: ReadonlyMap<string, number>; encoders: Encoders }) {
    const name = (source: Source): string => topicName(o.topicPrefix, source);
    this.#topics = { journeys: name('journeys'), calls: name('calls'), members: name('members') };
    this.#partitions = o.partitions;
    this.#encoders = o.encoders;
  }

  encode(emission: Emission): OutgoingRecord {
    const topic = this.#topics[emission.source];
    const key = emission.event.member_id;
    const value =
      emission.damage?.kind === 'schema'
        ? otherSchema(emission.event, emission.damage)
        : damaged(this.#avroOf(emission), emission.damage);
    if (key !== null) return { topic, key, value };
    // Without a key a partitioner picks at random, and the same seed must give the same partitions.
    return { topic, key, value, partition: shardOf(identityOf(emission)) % (this.#partitions.get(topic) ?? 1) };
  }

  #avroOf(emission: Emission): Buffer {
    switch (emission.source) {
      case 'journeys':
        return this.#encoders.journeys.encode(emission.event);
      case 'calls':
        return this.#encoders.calls.encode(emission.event);
      case 'members':
        return this.#encoders.members.encode(emission.event);
    }
  }
}

function identityOf(emission: Emission): string {
  switch (emission.source) {
    case 'journeys':
      return emission.event.event_id ?? '';
    case 'calls':
      return emission.event.call_id ?? '';
    case 'members':
      return '';
  }
}

function damaged(value: Buffer, damage: Exclude<Damage, { kind: 'schema' }> | null): Buffer {
  if (damage === null) return value;
  switch (damage.kind) {
    case 'cut':
      return value.subarray(0, Math.max(1, Math.floor(value.length * damage.keep)));
    case 'noise':
      return Buffer.from(damage.bytes);
  }
}

/** JSON of a release that nobody announced: one more field, or the member's id as an object. */
function otherSchema(event: Emission['event'], { breaking }: { breaking: boolean }): Buffer {
  const changed = breaking ? { member_id: { id: event.member_id, system: 'crm' } } : { release: '2027.1' };
  return Buffer.from(JSON.stringify({ ...event, ...changed }));
}
