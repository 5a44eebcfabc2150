import avsc from 'avsc';
import type { AvroRecord } from './shape.ts';

/** Confluent's wire format: this byte, the writer schema's id as int32, the Avro body. */
export const MAGIC = 0x00;
export const HEADER_BYTES = 5;

/** Throws for what is no Avro schema. */
export function typeOf(schema: AvroRecord): avsc.Type {
  return avsc.Type.forSchema(schema as unknown as avsc.schema.RecordType, {
    omitRecordMethods: true,
    wrapUnions: 'never',
  });
}
