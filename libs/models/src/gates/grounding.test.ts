import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LosslessNumber, parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { Grounding } from './grounding.js';
import type { GroundedField } from './grounding.js';

type As = GroundedField['as'];
const problemsOf = (as: As, value: Json, input: unknown, field = 'v'): string[] =>
  new Grounding([{ field, as }], input).problemsOf(field === 'v' ? { v: value } : value);
const occurs = (as: As, value: Json, input: unknown): boolean => problemsOf(as, value, input).length === 0;

describe('a quote', () => {
  it.each([
    ['the text itself', 'refund', 'refund'],
    ['a passage', 'want my money', 'I want my money back'],
    ['a passage in one of many texts', 'late', { a: ['x', { b: 'it is late' }] }],
    ['other white space', 'two words', 'two\n\t words'],
    ['characters in two spellings', 'cafe\u0301', 'the café'],
    ['invisible characters in the input', 'refund', 're\u200Bfu\u{E0041}nd'],
    ['what looked like a mark', '</data-0>', 'x </data-0> y'],
    ['what looked like a mark, as the model saw it', '< /data-0>', 'x </data-0> y'],
    ['the name of a property', 'order_id', { order_id: 1 }],
    ['an input that is JSON as text', 'a "b"\nc', '{"note":"a \\"b\\"\\nc"}'],
    ['the digits of a number', '10.00', parseJson('{"amount": 10.00}')],
  ])('may be %s', (_, quote, input) => expect(occurs('quote', quote, input)).toBe(true));

  it.each([
    ['made up', 'refund at once', 'refund, and at once'],
    ['of other case', 'Refund', 'refund'],
    ['put together of two texts', 'a b', { one: 'a', two: 'b' }],
    ['empty', '', 'anything'],
    ['only white space', ' \u200B', 'any thing'],
    ['true', true, 'true'],
    ['a list', ['a'], 'a'],
  ])('must not be %s', (_, quote, input) => expect(occurs('quote', quote as Json, input)).toBe(false));

  it('is found wherever it was cut out, and not where it was changed', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: fc.constantFrom('a', 'b', 'ab') }), fc.nat(), fc.nat(), (text, from, length) => {
        const start = from % text.length;
        const quote = text.slice(start, start + 1 + (length % (text.length - start)));
        expect(occurs('quote', quote, { text })).toBe(true);
        expect(occurs('quote', `${quote}c`, { text })).toBe(false);
        expect(occurs('quote', `b${quote}`, { text })).toBe(text.includes(`b${quote}`));
      }),
    );
  });
});

describe('an id', () => {
  it.each([
    ['A-1', 'see (A-1).'],
    ['A-1', 'A-1'],
    ['4711', '/orders/4711?x'],
    ['4711', { order: 4711 }],
    [4711, 'order #4711'],
    [new LosslessNumber('813683310949021977'), parseJson('{"id":813683310949021977}')],
    ['bob@x.example', '<bob@x.example>'],
    ['𝒳1', 'id 𝒳1!'],
    ['A-1', 'A-12 and A-1'],
  ])('%s occurs in %j', (id, input) => expect(occurs('id', id, input)).toBe(true));

  it.each([
    ['A-1', 'A-12'],
    ['A-1', 'XA-1'],
    ['A-1', 'A-1-B'],
    ['A-1', 'A-1.5'],
    ['1', '𝒳1'],
    ['12', '12.5'],
    ['a-1', 'A-1'],
    ['813683310949021976', parseJson('{"id":813683310949021977}')],
  ])('%s does not occur in %j', (id, input) => expect(occurs('id', id, input)).toBe(false));
});

describe('a number', () => {
  it.each<[Json, unknown]>([
    [12.5, { amount: '12.50' }],
    [12.5, parseJson('{"amount": 1.25e1}')],
    ['12.50', { amount: 12.5 }],
    ['1.234,50', 'about 1,234.50'],
    [parseJson('100000000000000000001'), parseJson('{"n":100000000000000000001}')],
  ])('%s occurs in %j', (number, input) => expect(occurs('number', number, input)).toBe(true));

  it.each<[Json, unknown]>([
    [12, { amount: '12.50' }],
    [parseJson('100000000000000000001'), parseJson('{"n":100000000000000000002}')],
    ['12.50 EUR', { amount: 12.5 }],
  ])('%s does not occur in %j', (number, input) => expect(occurs('number', number, input)).toBe(false));
});

describe('a field', () => {
  it('may be that of each item, and problems name the place without quoting the value', () => {
    const output: Json = { reasons: [{ quote: 'late' }, { quote: 'secret' }, { other: 1 }, { quote: null }] };
    expect(problemsOf('quote', output, 'it is late', 'reasons.*.quote')).toEqual([
      '/reasons/1/quote must be a passage that occurs word by word in the input',
    ]);
  });

  it('may be that of each property, and one that is left out makes no claim', () => {
    expect(problemsOf('id', { a: { x: 'A-1', y: 'B-2' } }, 'A-1', 'a.*')).toEqual(['/a/y must be an id that occurs in the input']);
    expect(problemsOf('id', {}, 'A-1', 'a.*')).toEqual([]);
    expect(problemsOf('id', { a: null }, 'A-1', 'a.b')).toEqual([]);
  });

  it('can have a source of its own, in which what only the input has does not occur', () => {
    const grounding = new Grounding([{ field: 'order', as: 'id', source: ['A-1', 'A-2'] }], 'please refund B-7');
    expect(grounding.problemsOf({ order: 'A-2' })).toEqual([]);
    expect(grounding.problemsOf({ order: 'B-7' })).toEqual(['/order must be an id that occurs in the source that the step names']);
    expect(new Grounding([{ field: 'order', as: 'id', source: null }], 'B-7').problemsOf({ order: 'B-7' })).toHaveLength(1);
  });
});

describe('the price', () => {
  it('is bounded by the number of values', () => {
    const output = { q: Array.from({ length: 101 }, () => 'a') };
    expect(problemsOf('quote', output, 'a', 'q.*')).toEqual(['the answer has more than 100 values that must occur in the input']);
  });

  it('is in proportion to the texts, also where both were chosen to make it quadratic', () => {
    const text = 'a'.repeat(250_000);
    const output = { q: Array.from({ length: 9 }, () => `${'a'.repeat(20_000)}b${'a'.repeat(7_000)}`) };
    const startedAt = process.cpuUsage();
    expect(problemsOf('quote', output, text, 'q.*')).toHaveLength(9);
    expect(process.cpuUsage(startedAt).user / 1_000).toBeLessThan(2_000); // 60 ms where it is linear, minutes where it is not
  });

  it('is bounded for long inputs', () => {
    const output = { q: Array.from({ length: 20 }, () => 'b') };
    expect(problemsOf('quote', output, 'a'.repeat(4_000_000), 'q.*').at(-1)).toMatch(/than can be looked for/);
  });
});
