/** What a field holds, read from its Avro type. */
export type Kind = 'string' | 'int' | 'long' | 'double' | 'boolean' | 'instant' | 'date' | 'record';

export interface Field {
  name: string;
  kind: Kind;
  nullable: boolean;
  fallback: unknown;
  /** The shape of a nested record. */
  shape: Shape | null;
}

export interface Shape {
  name: string;
  fields: readonly Field[];
}

interface AvroField {
  readonly name: string;
  readonly type: unknown;
  readonly default?: unknown;
}

/** The part of an Avro record schema that this library relies on. */
export interface AvroRecord {
  readonly type: 'record';
  readonly name: string;
  readonly fields: readonly AvroField[];
}

const PRIMITIVES: ReadonlySet<unknown> = new Set(['string', 'int', 'long', 'double', 'boolean']);

export function shapeOf(schema: AvroRecord, named: Map<string, Shape> = new Map()): Shape {
  const shape: Shape = { name: schema.name, fields: schema.fields.map((field) => fieldOf(field, named)) };
  named.set(schema.name, shape);
  return shape;
}

function fieldOf(field: AvroField, named: Map<string, Shape>): Field {
  const nullable = Array.isArray(field.type);
  const inner: unknown = Array.isArray(field.type) ? field.type[1] : field.type;
  const [kind, shape] = kindOf(inner, named, field.name);
  return { name: field.name, kind, nullable, fallback: field.default ?? null, shape };
}

function kindOf(type: unknown, named: Map<string, Shape>, field: string): [Kind, Shape | null] {
  if (PRIMITIVES.has(type)) return [type as Kind, null];
  if (typeof type === 'string') {
    const shape = named.get(type);
    if (shape !== undefined) return ['record', shape];
  }
  if (isRecord(type)) return ['record', shapeOf(type, named)];
  const logical = (type as { logicalType?: unknown } | null)?.logicalType;
  if (logical === 'timestamp-millis') return ['instant', null];
  if (logical === 'date') return ['date', null];
  throw new Error(`field ${field} has an Avro type this library does not know: ${JSON.stringify(type)}`);
}

function isRecord(type: unknown): type is AvroRecord {
  return typeof type === 'object' && type !== null && 'type' in type && type.type === 'record';
}
