import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SecretFinder } from './secret-finder.js';

const standsIn = (secret: string, text: string | Buffer): boolean => new SecretFinder([secret]).mayStandIn(Buffer.from(text));
const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, '0');

/** Writes each character of a text as `choose` says, which gets what may stand for it. */
type Layer = (text: string, choose: (ways: readonly string[]) => string) => string;

/** Every way in which each kind of text may write a character. The first one is the usual one. */
const layers: Readonly<Record<string, Layer>> = {
  json: (text, choose) => {
    const units = text.split('').map((unit) => {
      const code = hex(unit.charCodeAt(0), 4);
      const usual = JSON.stringify(unit).slice(1, -1);
      return choose([usual, `\\u${code}`, `\\u${code.toUpperCase()}`, ...(unit === '/' ? ['\\/'] : [])]);
    });
    return `"${units.join('')}"`;
  },
  form: (text, choose) => `a=1&payload=${percentEncoded(text, choose, '+')}&b=2`,
  query: (text, choose) => `?payload=${percentEncoded(text, choose, '%20')}`,
  xml: (text, choose) => {
    const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
    const characters = Array.from(text).map((character) => {
      const code = character.codePointAt(0)!;
      const isPlain = named[character] === undefined;
      return choose([isPlain ? character : named[character]!, `&#${code};`, `&#x${hex(code, 2)};`, `&#X${hex(code, 4).toUpperCase()};`]);
    });
    return `<a b="1">${characters.join('')}</a>`;
  },
};

function percentEncoded(text: string, choose: (ways: readonly string[]) => string, space: string): string {
  return Array.from(text)
    .map((character) => {
      const bytes = [...Buffer.from(character)].map((byte) => hex(byte, 2));
      const encoded = bytes.map((byte) => `%${byte}`).join('');
      const mayStand = /[\w.~!*'()-]/.test(character);
      const usual = mayStand ? character : character === ' ' ? space : encoded.toUpperCase();
      return choose([usual, encoded, encoded.toUpperCase()]);
    })
    .join('');
}

/** A text without half of a surrogate pair and without controls, which some of the layers cannot write. */
const texts = (length: { minLength: number; maxLength: number }) =>
  fc.string({ unit: 'grapheme', ...length }).filter((text) => !/\p{Cc}/u.test(text) && text.isWellFormed());
const secrets = fc.oneof(
  texts({ minLength: 8, maxLength: 40 }),
  fc.base64String({ minLength: 12, maxLength: 64 }),
  fc.string({ unit: fc.constantFrom('+', '/', '=', ' ', '-', '_', '%', '&', '"', 'ü', '😀', 'a', '7'), minLength: 8, maxLength: 40 }),
);
const around = fc.string({ unit: fc.constantFrom(' ', '"', '{', '}', ':', ',', 'b', 'é', '8', '='), maxLength: 12 });

test('a secret is found in every form and every mixture of forms, in up to three layers', () => {
  const layered = fc.array(fc.constantFrom(...Object.keys(layers)), { maxLength: 3 });
  const wrote = fc.tuple(secrets, around, around, layered, fc.infiniteStream(fc.nat(9)));
  fc.assert(
    fc.property(wrote, ([secret, before, after, kinds, choices]) => {
      // Half of the characters are written as usual, the others in any way.
      const choose = (ways: readonly string[]): string => {
        const choice = choices.next().value!;
        return choice < 5 ? ways[0]! : ways[choice % ways.length]!;
      };
      const text = kinds.reduce((written, kind) => layers[kind]!(written, choose), `${before}${secret}${after}`);
      return standsIn(secret, text);
    }),
    { numRuns: 2_000 },
  );
});

test('a secret is found in the base64 of any text that it stands in, in both alphabets, broken into lines, and escaped', () => {
  const wrote = fc.tuple(
    secrets,
    fc.uint8Array({ maxLength: 9 }),
    around,
    fc.constantFrom('base64' as const, 'base64url' as const),
    fc.boolean(),
  );
  fc.assert(
    fc.property(wrote, ([secret, before, after, alphabet, isBroken]) => {
      const whole = Buffer.concat([before, Buffer.from(secret + after)]).toString(alphabet);
      const text = isBroken ? whole.replace(/.{16}/g, '$&\r\n') : whole;
      const forms = [`{"of-${text}"}`, JSON.stringify({ text }), `text=${encodeURIComponent(text)}`, text.replaceAll('/', '\\/')];
      return forms.every((form) => standsIn(secret, form));
    }),
  );
});

describe('a secret is found', () => {
  test.each([
    ['as it is', 'see a/shared+secret'],
    ['with a slash as PHP writes it', '{"a":"a\\/shared+secret"}'],
    [
      'with every letter as JSON may write it',
      'a/shared+secret'
        .split('')
        .map((one) => `\\u00${hex(one.charCodeAt(0), 2)}`)
        .join(''),
    ],
    ['as JavaScript and Python may write it', 'a\\x2fshared\\x2Bsecret'],
    ['with digits of either case', 'a%2fshared%2Bsecret'],
    ['with the plus of a form that was read once too often', 'a=a/shared secret'],
    ['escaped twice', 'a%252Fshared%252bsecret'],
    ['as the escape function of JavaScript writes it', 'a%u002Fshared%u002bsecret'],
    ['in JSON in JSON', JSON.stringify(JSON.stringify({ a: 'a\\/shared+secret' }))],
    ['in XML', 'a&#47;shared&#x2B;secret'],
    ['in XML that was escaped twice', 'a&amp;#47;shared&amp;#x2b;secret'],
    ['in UTF-16', Buffer.from('{"a":"a/shared+secret"}', 'utf16le')],
    ['beside what looks like escapes and is none', '100% &c. \\q %zz &#; &#x; &#99999999; %u12 a%2fshared+secret'],
    ['at the end of a text that is cut within an escape', 'a%2fshared+secret%2'],
  ])('%s', (_, text) => expect(standsIn('a/shared+secret', text)).toBe(true));

  test('with a character that takes two escapes', () => {
    expect(standsIn('key 😀 é key', 'key \\ud83d\\uDE00 \\u00e9 key')).toBe(true);
    expect(standsIn('key 😀 é key', 'key &#x1f600; &#233; key')).toBe(true);
    expect(standsIn('key 😀 é key', 'key+%f0%9F%98%80+%C3%a9+key')).toBe(true);
  });

  test('although it looks like an escape itself', () => {
    expect(standsIn('abc%41def&amp;x', 'a\\u0062c%41def&amp;x')).toBe(true);
    expect(standsIn('abc%41def\\n\\u0041', JSON.stringify('abc%41def\\n\\u0041'))).toBe(true);
  });
});

test('a text without a secret is none that holds one', () => {
  const values = fc.oneof(fc.json(), fc.webUrl({ withQueryParameters: true }), fc.base64String(), fc.lorem());
  fc.assert(fc.property(values, (text) => !standsIn('a/shared+secret', text)));
});

test('texts of fewer than eight characters are no secrets, and no secrets stand nowhere', () => {
  expect(standsIn('seven77', 'seven77')).toBe(false);
  expect(new SecretFinder([]).mayStandIn(Buffer.from('%2525252525252525252525'))).toBe(false);
});

test('a text whose escapes could be read in too many ways may hold one', () => {
  expect(standsIn('a shared secret', `%${'25'.repeat(20)}`)).toBe(false);
  expect(standsIn('a shared secret', `%${'25'.repeat(200)}`)).toBe(true);
  expect(standsIn('a shared secret', '\\'.repeat(20))).toBe(false);
  expect(standsIn('a shared secret', '\\'.repeat(200))).toBe(true);
});
