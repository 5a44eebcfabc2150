import type { OutgoingRecord } from '@leakage/kafka';
import { type Encoders, partitionOf, type Source, topicName } from '@leakage/schemas';
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
    // kafkajs would come to the same, at two microseconds a record. Without a key it would pick at random, and the same seed
    // must give the same partitions.
    const partition = partitionOf(key ?? identityOf(emission), this.#partitions.get(topic) ?? 1);
    return { topic, key, value, partition };
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
