import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeForm, compareUtf8, cutText, idForm, keyForm, utf8Length } from './text.ts';

describe('key form', () => {
  it.each([
    ['billing', 'billing'],
    ['  Billing Question\t', 'billing_question'],
    ['a  b', 'a__b'],
    ['tab\tinside', 'tab\tinside'],
    ['\u00a0nbsp\u00a0', '\u00a0nbsp\u00a0'],
    ['ÄÖ İ', 'ÄÖ_İ'],
    ['', null],
    [' \t\r\n\f\v', null],
    [null, null],
  ])('of %j is %j', (text, key) => {
    expect(keyForm(text)).toBe(key);
  });

  it('is its own key form', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(keyForm(keyForm(text))).toBe(keyForm(text));
      }),
    );
  });
});

describe('other forms', () => {
  it('raises and trims error codes, in ASCII only', () => {
    expect(codeForm(' err_ß_1\n')).toBe('ERR_ß_1');
    expect(codeForm('   ')).toBeNull();
  });

  it('cuts texts to 1,000 characters, never through one', () => {
    for (const short of [null, '', 'x'.repeat(1_000), '😀'.repeat(1_000)]) expect(cutText(short)).toBe(short);
    expect(cutText('x'.repeat(1_001))).toBe('x'.repeat(1_000));
    expect(cutText(`${'😀'.repeat(999)}é😀😀`)).toBe(`${'😀'.repeat(999)}é`);
    expect(cutText(`x${'😀'.repeat(500_000)}`)).toBe(`x${'😀'.repeat(999)}`);
  });

  it('takes ids as sent, an empty one as missing', () => {
    expect(idForm(' M 1 ')).toBe(' M 1 ');
    expect(idForm('')).toBeNull();
  });
});

describe('order and length of text', () => {
  it('are those of UTF-8 bytes, where UTF-16 differs too', () => {
    expect(['\uffee', '😀'].sort()).toEqual(['😀', '\uffee']);
    expect(compareUtf8('\uffee', '😀')).toBeLessThan(0);
    expect(compareUtf8('a', 'ab')).toBeLessThan(0);
  });

  it('agree with Node on any text', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', '\u007f', 'é', '\u07ff', '\ud7ff', '\ue000', '\uffee', '😀', '\u{10ffff}'),
    });
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(utf8Length(a)).toBe(Buffer.byteLength(a));
      }),
    );
  });
});
