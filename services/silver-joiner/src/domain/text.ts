/**
 * Text rules that Postgres and JavaScript must agree on byte by byte: only ASCII is trimmed, lowered and raised, and
 * order is that of UTF-8 bytes (`collate "C"`), from which `<` on strings differs above U+FFFF.
 */
const TEXT_CHARACTERS_MAX = 1_000;
const PLAIN_KEY = /^[a-z0-9_]+$/;
const UPPER = /[A-Z]+/g;
const LOWER = /[a-z]+/g;

function isWhiteSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

export function trimAscii(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhiteSpace(text.charCodeAt(start))) start++;
  while (end > start && isWhiteSpace(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

export function lowerAscii(text: string): string {
  return text.replace(UPPER, (letters) => letters.toLowerCase());
}

/** The form in which categories are compared and stored; empty is null. */
export function keyForm(text: string | null): string | null {
  if (text === null || PLAIN_KEY.test(text)) return text;
  const key = lowerAscii(trimAscii(text)).replaceAll(' ', '_');
  return key === '' ? null : key;
}

/** Error codes: trimmed, A to Z raised; empty is null. */
export function codeForm(text: string | null): string | null {
  if (text === null) return null;
  const code = trimAscii(text).replace(LOWER, (letters) => letters.toUpperCase());
  return code === '' ? null : code;
}

/**
 * The beginning of a text, in characters and never through one. A fact repeats the texts of its failure for every call, and
 * the change log all of them twice: without a limit one record of a megabyte could grow beyond what a statement may hold.
 */
export function cutText(text: string | null): string | null {
  if (text === null || text.length <= TEXT_CHARACTERS_MAX) return text;
  // A character is one or two units, so those kept are all within twice as many.
  const beginning = Array.from(text.slice(0, 2 * TEXT_CHARACTERS_MAX));
  return beginning.slice(0, TEXT_CHARACTERS_MAX).join('');
}

/** An id is taken as sent; an empty one is missing. */
export function idForm(text: string | null): string | null {
  return text === '' ? null : text;
}

export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair carries two of the pair's four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

// UTF-16 sorts surrogates (U+10000 and above) before U+E000 to U+FFFF, UTF-8 after them.
function byteOrder(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Order of the UTF-8 bytes of two well-formed strings. */
export function compareUtf8(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return byteOrder(x) - byteOrder(y);
  }
  return a.length - b.length;
}
