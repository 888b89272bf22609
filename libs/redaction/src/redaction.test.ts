import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Redaction } from './redaction.js';

const redaction = new Redaction(['abc/def+ghi=jkl', 'password "quoted"', 'short', 'abc/def+ghi=jkl and more']);

test.each([
  ['as it is', 'x abc/def+ghi=jkl y', 'x [redacted] y'],
  ['more than once', 'abc/def+ghi=jklabc/def+ghi=jkl', '[redacted][redacted]'],
  ['with escaped slashes', String.raw`abc\/def+ghi=jkl`, '[redacted]'],
  ['escaped for JSON', String.raw`{"p":"password \"quoted\""}`, '{"p":"[redacted]"}'],
  ['escaped for a URL', 'abc%2Fdef%2Bghi%3Djkl', '[redacted]'],
  ['as a part of a longer one', 'abc/def+ghi=jkl and more', '[redacted]'],
  ['cut off at the end', 'x abc/def+g', 'x [redacted]'],
])('a secret is removed %s', (_, text, expected) => {
  expect(redaction.apply(text)).toBe(expected);
});

test('what is no secret stays', () => {
  const text = 'a short answer: {"status":"ok","path":"/abc/def"} abc/de';
  expect(redaction.apply(text)).toBe(text);
});

test('whatever stands around it, no secret of 8 characters or more is left', () => {
  const secrets = fc.array(fc.string({ minLength: 8, maxLength: 40 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(secrets, fc.string(), fc.string(), (known, before, after) => {
      const text = new Redaction(known).apply(known.map((secret) => before + secret + after).join(''));
      for (const secret of known) if (!'[redacted]'.includes(secret)) expect(text).not.toContain(secret);
    }),
  );
});
