import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementTexts, memberTexts } from './json-parts.js';
import { JsonTooDeep, scanJson } from './json-scan.js';
import { isTooDeep, maxJsonDepth } from './json.js';
import { LosslessNumber, asDoubles, holdsLosslessNumber } from './lossless-number.js';
import { parseJson, parseStoredJson } from './parse-json.js';

const nested = (depth: number, open = '[', close = ']', inner = ''): string => open.repeat(depth) + inner + close.repeat(depth);

describe('digits', () => {
  test.each([
    '9007199254740993',
    '813683310949021977',
    '-9007199254740993',
    '1e400',
    '-1e-400',
    '10.00',
    '1.0',
    '1E3',
    '-0',
    '0.0000001',
    '0.12345678901234567',
    '123456789012345678901234567890.123456789',
  ])('of %s are written as they were read', (digits) => {
    const text = `{"a":[${digits},"${digits}"],"b":${digits}}`;
    const { a, b } = parseJson(text) as { a: unknown[]; b: unknown };
    expect(b).toBeInstanceOf(LosslessNumber);
    expect(String(b)).toBe(digits);
    expect(a[1]).toBe(digits);
    expect(Number(b)).toBe(Number(digits));
    expect(JSON.stringify({ a, b })).toBe(text);
  });

  test.each([
    '0',
    '7',
    '-7',
    '42',
    '123456789012345',
    '9007199254740991',
    '12.5',
    '-0.25',
    '0.5',
    '1e+21',
    '1e-7',
    '52.520006599999995',
    '-0.30000000000000004',
  ])('that a JavaScript number gives back stay one: %s', (digits) => {
    expect(parseJson(digits)).toBe(Number(digits));
  });

  test('of ordinary numbers need no second look, and such numbers are written as they were', () => {
    const usual = ['0', '7', '-7', '-12.5', '0.4', '-0.25', '0.000001', '-0.05', '10', '-120', '999999999999999'];
    expect(usual.filter((digits) => scanJson(digits))).toEqual([]);
    const whole = fc.oneof(fc.constant('0'), fc.nat({ max: 99_999_999 }).map(String));
    const part = fc.tuple(fc.nat({ max: 8 }), fc.nat({ max: 999_999 })).map(([zeros, digits]) => `${'0'.repeat(zeros)}${digits}`);
    const written = fc.tuple(fc.constantFrom('', '-'), whole, fc.option(part)).map(([sign, before, after]) => {
      return `${sign}${before}${after === null ? '' : `.${after}`}`;
    });
    fc.assert(
      fc.property(written, (digits) => {
        if (!scanJson(digits)) expect(JSON.stringify(JSON.parse(digits))).toBe(digits);
      }),
      { numRuns: 5_000 },
    );
  });

  test('any JSON is read as JSON.parse reads it, and written as it was', () => {
    const number = fc.oneof(
      fc.double({ noDefaultInfinity: true, noNaN: true }).map(String),
      fc.bigInt().map(String),
      fc
        .tuple(fc.integer(), fc.nat(), fc.integer({ min: -400, max: 400 }))
        .map(([whole, part, exponent]) => `${whole}.${part}e${exponent}`),
    );
    const key = fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', 'a"b', 'a\\', '\\"', '{', '1.0'));
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        number,
        fc.oneof(key, fc.constantFrom(null, true, false)).map((one) => JSON.stringify(one)),
        fc.array(tie('value')).map((items) => `[${items.join(',')}]`),
        fc
          .uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name })
          .map((members) => `{${members.map(([name, one]) => `${JSON.stringify(name)}:${one}`).join(',')}}`),
      ),
    }));
    fc.assert(
      fc.property(value, (text) => {
        const spaced = text.replaceAll(/(?<=^[^"]*)([[{,])/g, '$1 \n');
        const read = parseJson(spaced);
        expect(asDoubles(read)).toEqual(JSON.parse(text));
        // JavaScript moves keys that are whole numbers to the front, and writes texts in its own way.
        expect(parseJson(JSON.stringify(read))).toEqual(read);
      }),
    );
  });

  test('of a number that JavaScript wrote are those of a JavaScript number', () => {
    fc.assert(
      fc.property(fc.double({ noDefaultInfinity: true, noNaN: true }), (number) => {
        expect(parseStoredJson(JSON.stringify(number))).toBe(number === 0 ? 0 : number);
      }),
    );
  });

  test('two ways of writing are one number', () => {
    const canonical = (digits: string): string => new LosslessNumber(digits).canonical();
    expect(canonical('9007199254740993.0')).toBe(canonical('9007199254740993'));
    expect(canonical('1E3')).toBe(canonical('1000'));
    expect(canonical('-0.00')).toBe(canonical('0'));
    expect(canonical('9007199254740993')).not.toBe(canonical('9007199254740992'));
    expect(new LosslessNumber('10.00').isDouble()).toBe(true);
    expect(new LosslessNumber('1e400').isDouble()).toBe(false);
    expect(new LosslessNumber('9007199254740993').isDouble()).toBe(false);
  });

  test.each([
    ['1.0', true],
    ['[1,"1.0",{"a":[null,{"b":1e400}]}]', true],
    ['{"a":{},"__proto__":{"b":9007199254740993}}', true],
    ['[1,"1.0",{"a":[null,{"b":1}]},[]]', false],
    ['null', false],
  ])('%s holds a number with digits of its own: %s', (text, holds) => {
    expect(holdsLosslessNumber(parseJson(text))).toBe(holds);
  });

  test('of a name that is given twice, the last value counts', () => {
    expect(String((parseJson('{"a":1.0,"a":2.0}') as { a: unknown }).a)).toBe('2.0');
  });
});

describe('the limit of nesting', () => {
  test.each([
    ['arrays', nested(maxJsonDepth)],
    ['objects', nested(maxJsonDepth, '{"a":', '}', '1')],
    ['what stands in a text', JSON.stringify(nested(10_000) + '"\\'.repeat(3))],
  ])('admits %s', (_, text) => {
    expect(JSON.stringify(parseJson(text))).toBe(text);
    expect(isTooDeep(JSON.parse(text))).toBe(false);
  });

  test.each([
    ['arrays', nested(maxJsonDepth + 1)],
    ['objects', nested(maxJsonDepth + 1, '{"a":', '}', '1')],
    ['objects, very deep', nested(200_000, '{"a":', '}', '1.0')],
    ['arrays, never closed', '['.repeat(1_000_000)],
  ])('refuses %s', (_, text) => {
    expect(() => parseJson(text)).toThrow(JsonTooDeep);
    expect(() => parseJson(text)).toThrow(`is nested deeper than ${maxJsonDepth} levels`);
  });

  test('is not for what Millrace wrote itself', () => {
    const text = nested(maxJsonDepth + 100, '{"a":', '}', '1.0');
    expect(JSON.stringify(parseStoredJson(text))).toBe(text);
    expect(isTooDeep(parseStoredJson(text))).toBe(true);
  });
});

test.each(['', '{', '[1', '"a', '{"a":1.0', '1.', '01.0', '--1', '[1.0,]', '{"a" 1.0}', 'nul', '"\\'])('%s is no JSON', (text) => {
  expect(() => parseJson(text)).toThrow(SyntaxError);
});

test('parts of a text stay as they were written', () => {
  const text = ' { "a" : [ 1.0 , "}," ] , "b\\u0022" :{"c":1e400}, "a": "last" } ';
  expect([...memberTexts(text)]).toEqual([
    ['a', '"last"'],
    ['b"', '{"c":1e400}'],
  ]);
  expect(elementTexts(` [ ${text} , [1, 2],"]" ] `)).toEqual([text.trim(), '[1, 2]', '"]"']);
  expect(elementTexts('[ ]')).toEqual([]);
  expect([...memberTexts('{}')]).toEqual([]);
});
