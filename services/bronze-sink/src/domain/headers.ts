/** A record's headers as Kafka's client gives them: a name that occurs more than once has a list. */
export type Headers = Readonly<Record<string, Buffer | string | null | undefined | readonly HeaderValue[]>>;
type HeaderValue = Buffer | string | null;

type Json = string | null | { [key: string]: Json | number } | Json[];

// Law 10. What is cut is marked; Kafka itself bounds a record, not what a database makes of it.
const HEADERS_MAX = 64;
const VALUE_BYTES_MAX = 4_096;
const NAME_CHARACTERS_MAX = 256;
const SOURCE_FILE_CHARACTERS_MAX = 1_024;
/** The entry that tells how many headers were left out; no producer's header can be meant by it. */
const LEFT_OUT = '(left out)';

// ignoreBOM keeps a byte order mark, which would otherwise vanish from the text.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Headers as JSON: UTF-8 text as a string, other bytes as {"base64": ...}, a value longer than 4 KiB as its beginning with
 * {"bytes": its length}. Null for a record without headers.
 */
export function describeHeaders(headers: Headers | null): Json {
  const names = headers === null ? [] : Object.keys(headers);
  if (headers === null || names.length === 0) return null;
  const described: [string, Json | number][] = names
    .slice(0, HEADERS_MAX)
    .map((name) => [storableName(name), describeValues(headers[name])]);
  if (names.length > HEADERS_MAX) described.push([LEFT_OUT, names.length - HEADERS_MAX]);
  return Object.fromEntries(described);
}

/** The text of a header that is sent once, if it is text that can be stored; else null. */
export function textHeader(headers: Headers | null, name: string): string | null {
  const value = headers !== null && Object.hasOwn(headers, name) ? headers[name] : null;
  if (value === null || value === undefined || isList(value)) return null;
  const text = textOf(bytesOf(value));
  return text === null || text.length > SOURCE_FILE_CHARACTERS_MAX ? null : text;
}

function describeValues(value: Headers[string]): Json {
  if (value === undefined || value === null) return null;
  if (!isList(value)) return describeValue(value);
  const described = value.slice(0, HEADERS_MAX).map((one) => (one === null ? null : describeValue(one)));
  return value.length > HEADERS_MAX ? [...described, { [LEFT_OUT]: value.length - HEADERS_MAX }] : described;
}

function describeValue(value: Buffer | string): Json {
  const bytes = bytesOf(value);
  if (bytes.length > VALUE_BYTES_MAX) {
    return { base64: bytes.subarray(0, VALUE_BYTES_MAX).toString('base64'), bytes: bytes.length };
  }
  return textOf(bytes) ?? { base64: bytes.toString('base64') };
}

function bytesOf(value: Buffer | string): Buffer {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** Null for what is not UTF-8, and for U+0000, which Postgres cannot hold. */
function textOf(bytes: Buffer): string | null {
  if (bytes.includes(0)) return null;
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null; // not UTF-8: the decoder's only error
  }
}

function storableName(name: string): string {
  return name.slice(0, NAME_CHARACTERS_MAX).replaceAll('\0', '�').toWellFormed();
}

function isList(value: Buffer | string | readonly HeaderValue[]): value is readonly HeaderValue[] {
  return Array.isArray(value);
}
