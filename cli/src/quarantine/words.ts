/** What each reason of the quarantine means; docs/semantics.md says the same. `*`: what is behind the colon. */
const words: Readonly<Record<string, string>> = {
  null_value: 'it has no value (a tombstone)',
  empty: 'its value has no bytes',
  unknown_format: 'its first byte is of no format: neither Avro (0x00) nor JSON ({)',
  truncated: 'it is Avro that ends early, or a length leads beyond its end',
  trailing_bytes: 'it is Avro with something behind it, as when a record is written under the id of another schema',
  unknown_schema_id: 'its schema id * is none of this topic, or the registry does not have it',
  incompatible_schema: 'its schema, id *, cannot be read as that of this topic',
  'avro:union_index': 'it names a branch that no union has, as when a record is written under the id of another schema',
  'avro:long_range': 'it holds a number beyond 2^53',
  'avro:int_range': 'it holds an int of more than 32 bits',
  'avro:': 'Avro does not allow its bytes, as when a record is written under the id of another schema',
  json: 'it begins like JSON and is none',
  type: '* has a value of another type than the field, or out of its range',
  nul: '* is text with U+0000, which Postgres cannot hold',
  utf8: '* is text that is not UTF-8',
  'timestamp_range:': '* lies outside the years 0001 to 9999',
  timestamp_range: 'its time lies outside the years 2000 to 2099, as when it is sent in another unit than milliseconds',
  missing: '* is required and is absent or empty',
  too_long: '* is longer than 200 bytes',
  unknown: '* is none of the values that are known',
  unidentified: 'it is a call without member',
  future: 'it happened more than 5 minutes after it was sent',
  emitted_in_future: 'it was sent more than 5 minutes after Kafka got it',
  beyond_retention: 'it happened before what retention has removed',
  erased: 'it is of a member who was erased',
  range: '* is out of its range',
  'future:': '* lies after the day on which it was sent',
  unreadable: 'by this fix no fields can be read from its bytes',
  rename: '* has a value already, and renaming another field would overwrite it',
  no_emitted_at: 'neither does it say when it was sent, nor Kafka when it came',
  not_in_bronze: 'bronze-sink has not read it yet, so its key is not known',
};

/** A reason of the quarantine or of a refused repair as a sentence about the record. */
export function inWords(reason: string): string {
  const colon = reason.indexOf(':');
  const [name, about] = colon < 0 ? [reason, ''] : [reason.slice(0, colon), reason.slice(colon + 1)];
  const found = words[reason] ?? (colon < 0 ? undefined : words[`${name}:`]) ?? words[name];
  return found?.replace('*', about) ?? reason;
}
