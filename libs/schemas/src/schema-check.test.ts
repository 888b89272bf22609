import { describe, expect, it } from 'vitest';
import { SchemaRefused, unknownKeywords } from './json-schema.js';
import { compileCheck } from './schema-check.js';

describe('compileCheck', () => {
  it('judges by draft 2020-12, formats included', () => {
    const schema = compileCheck({ type: 'array', prefixItems: [{ type: 'string', format: 'email' }], items: false });
    expect(schema.problemsOf(['a@b.example'])).toEqual([]);
    expect(schema.problemsOf(['nobody'])).toEqual(['/0 must match format "email"']);
    expect(schema.problemsOf(['a@b.example', 1])).toHaveLength(1);
  });

  it('refuses a draft that it does not know, and names those that it does', () => {
    expect(() => compileCheck({ $schema: 'http://json-schema.org/draft-04/schema#' })).toThrow(
      '$schema must be one of https://json-schema.org/draft/2020-12/schema, http://json-schema.org/draft-07/schema',
    );
    expect(() => compileCheck({ $schema: 'https://json-schema.org/draft/2020-12/schema#/allOf/0' })).toThrow('$schema must be one of');
  });

  it('judges by draft-07 where the schema says that it is one', () => {
    const schema = compileCheck({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'array', items: [{ type: 'string' }] });
    expect(schema.problemsOf([1])).toEqual(['/0 must be string']);
  });

  it('takes no longer over a pattern that would explode, whatever the text', () => {
    const schema = compileCheck({ type: 'string', pattern: '^(\\w+\\s?)+$' });
    const startedAt = performance.now();
    expect(schema.problemsOf(`${'word '.repeat(5_000)}!`)).toHaveLength(1);
    expect(schema.problemsOf('two words')).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('tells several patterns of one schema apart', () => {
    const schema = compileCheck({
      properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } },
      patternProperties: { '^n': { type: 'number' } },
    });
    expect(schema.problemsOf({ a: 'a', b: 'b', n: 1 })).toEqual([]);
    expect(schema.problemsOf({ a: 'b', b: 'a', n: '' })).toHaveLength(3);
  });

  it('refuses a pattern that only a backtracking engine could run', () => {
    expect(() => compileCheck({ type: 'string', pattern: '(?=x)y' })).toThrow(/invalid perl operator|\(\?=/i);
  });

  it('refuses what is no schema', () => {
    expect(() => compileCheck({ type: 'strnig' })).toThrow(/type/);
  });

  it('lets two schemas have one $id, as two versions of a document do', () => {
    const at = (maximum: number) => compileCheck({ $id: 'https://millrace.example/score', type: 'number', maximum });
    expect(at(1).problemsOf(5)).toHaveLength(1);
    expect(at(10).problemsOf(5)).toEqual([]);
  });

  it('tells items apart by what they say, not by the order of their keys, in linear time', () => {
    const unique = compileCheck({ type: 'array', uniqueItems: true });
    expect(unique.problemsOf([1, '1', [1], ['1'], { a: 1, b: 2 }, { a: 1 }, null, 'null', true])).toEqual([]);
    expect(
      unique.problemsOf([
        { a: 1, b: { c: 1, d: 2 } },
        { b: { d: 2, c: 1 }, a: 1 },
      ]),
    ).toEqual(['the value must NOT have duplicate items']);
    expect(unique.problemsOf(['x', 1, 'x'])).toHaveLength(1);
    expect(compileCheck({ type: 'array', uniqueItems: false }).problemsOf([1, 1])).toEqual([]);
    expect(unique.problemsOf(Array.from({ length: 100_000 }, (_, at) => ({ at })))).toEqual([]); // Ajv's own takes minutes
  });
});

const number = { type: 'number' };

/** Each definition applies the next one twice, so the last one is applied 2^count times to one value. */
function doubling(count: number): object {
  const twice = (at: number): object => ({ allOf: [{ $ref: `#/$defs/d${at}` }, { $ref: `#/$defs/d${at}` }] });
  const defs = Array.from({ length: count }, (_, at) => [`d${at}`, at === count - 1 ? number : twice(at + 1)]);
  return { $defs: Object.fromEntries(defs), ...twice(0) };
}

function nested(depth: number): object {
  let schema: object = number;
  for (let level = 0; level < depth; level++) schema = { properties: { a: schema } };
  return schema;
}

describe('the price of a schema', () => {
  const many = (count: number, value: unknown): object => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, value]));

  const chain = (count: number): object => ({
    $defs: Object.fromEntries(
      Array.from({ length: count }, (_, at) => [
        `d${at}`,
        { properties: { a: at === count - 1 ? number : { $ref: `#/$defs/d${at + 1}` } } },
      ]),
    ),
    $ref: '#/$defs/d0',
  });

  it.each<[string, object, RegExp]>([
    ['references that double', doubling(24), /apply to the same value/],
    [
      'references that double below a property',
      { properties: { a: doubling(14) }, $defs: (doubling(14) as { $defs: object }).$defs },
      /apply to the same value/,
    ],
    ['a reference to itself', { $ref: '#' }, /leads back to itself/],
    ['a reference to itself over an anchor', { $defs: { a: { $anchor: 'x', not: { $ref: '#x' } } } }, /leads back to itself/],
    [
      'a reference to itself over its address',
      { $id: 'https://a.example/s', anyOf: [{ $ref: 'https://a.example/s' }] },
      /leads back to itself/,
    ],
    ['a dynamic reference to itself', { $dynamicAnchor: 'x', allOf: [{ $dynamicRef: '#x' }] }, /leads back to itself/],
    ['1 000 levels', nested(1_000), /levels deep/],
    ['10 000 levels', nested(10_000), /levels deep/],
    ['a chain of 300 references', chain(300), /levels deep/],
    ['too many schemas', { allOf: Array.from({ length: 1_001 }, () => number) }, /more than 1000 schemas/],
    ['too many alternatives', { oneOf: Array.from({ length: 201 }, () => number) }, /more than 200 alternatives/],
    ['too many schemas that are true', { properties: many(1_001, true) }, /more than 1000 schemas/],
    ['too many lists of names', { dependentRequired: many(1_001, ['a']) }, /more than 1000 schemas/],
    ['too many lists of names, as draft-07 has them', { dependencies: many(1_001, ['a']) }, /more than 1000 schemas/],
    ['too many patterns', { patternProperties: many(101, {}) }, /more than 100 patterns/],
    ['too many patterns, one in each schema', { properties: many(101, { pattern: 'a' }) }, /more than 100 patterns/],
    ['a long pattern', { pattern: 'a'.repeat(10_001) }, /more than 10000 repetitions/],
    [
      'patterns that repeat much',
      { allOf: [{ pattern: '[a-z]{1000}'.repeat(9) }, { pattern: 'a{1,1000}' }] },
      /more than 10000 repetitions/,
    ],
    ['a reference into a value', { const: { allOf: [{ $ref: '#/const' }] }, $ref: '#/const' }, /no schema stands there/],
    ['a reference into an unknown keyword', { nothing: { a: { $ref: '#/nothing/a' } }, $ref: '#/nothing/a' }, /no schema stands there/],
  ])('is refused: %s', (_name, schema, reason) => {
    expect(() => compileCheck(schema)).toThrow(SchemaRefused);
    expect(() => compileCheck(schema)).toThrow(reason);
  });

  it('is paid by usual schemas: recursion into the value, references of several forms, as deep as a document can be', () => {
    const tree = compileCheck({
      $defs: { node: { allOf: [{ properties: { next: { $ref: '#/$defs/node' }, n: number } }] } },
      $ref: '#/$defs/node',
    });
    expect(tree.problemsOf({ next: { next: { n: 'x' } } })).toEqual(['/next/next/n must be number']);
    expect(compileCheck({ $id: 'T0', properties: { child: { $ref: 'T0' }, n: number } }).problemsOf({ child: { n: '' } })).toHaveLength(1);
    expect(compileCheck({ $defs: { a: { $anchor: 'n', ...number } }, $ref: '#n' }).problemsOf('')).toHaveLength(1);
    expect(compileCheck(nested(60)).problemsOf({})).toEqual([]);
    const property = { $defs: { const: number }, properties: { a: { $ref: '#/$defs/const' } } };
    expect(compileCheck(property).problemsOf({ a: '' })).toEqual(['/a must be number']);
  });
});

describe('checking a value', () => {
  const deep = (levels: number): unknown => JSON.parse('{"a":'.repeat(levels) + '1' + '}'.repeat(levels));

  it('ends after a number of steps, whatever the schema and the value', () => {
    const recursive = compileCheck({ properties: { a: { allOf: [{ $ref: '#' }, { $ref: '#' }] } } });
    expect(recursive.problemsOf(deep(5))).toEqual([]);
    expect(recursive.problemsOf(deep(100))).toEqual([expect.stringContaining('more than 4000000 steps')]);
    const wide = compileCheck({ items: { allOf: Array.from({ length: 900 }, () => number) } });
    expect(wide.problemsOf(Array.from({ length: 10_000 }, () => 1))).toEqual([expect.stringContaining('steps')]);
    const patterns = compileCheck({
      allOf: Array.from({ length: 20 }, (_, at) => ({ pattern: `a{0,${(at % 9) + 1}}b|(\\w+\\s?)+$` })),
    });
    expect(patterns.problemsOf('word '.repeat(50_000))).toEqual([expect.stringContaining('steps')]);
  });

  it('reports a stack that is exhausted as a problem of the value', () => {
    const steps = 150;
    const next = (at: number): object => (at === steps ? { properties: { a: { $ref: '#' } } } : { $ref: `#/$defs/d${at + 1}` });
    const defs = Array.from({ length: steps }, (_, at) => [`d${at + 1}`, next(at + 1)]);
    const recursive = compileCheck({ $defs: Object.fromEntries(defs), ...next(0) });
    expect(recursive.problemsOf(deep(10))).toEqual([]);
    expect(recursive.problemsOf(deep(120))).toEqual(['the value is nested too deep to be checked with this schema']);
  });

  it('names up to ten problems, and the first one of a value with thousands', () => {
    const list = compileCheck({ items: { $ref: '#/$defs/x' }, $defs: { x: { type: 'string' } } });
    expect(list.problemsOf([1, 2, 'x', 3])).toEqual(['/0 must be string', '/1 must be string', '/3 must be string']);
    expect(list.problemsOf(Array.from({ length: 1_000 }, () => 1))).toHaveLength(10);
    const [problem, ...more] = list.problemsOf(Array.from({ length: 300_000 }, () => 1));
    expect(problem).toMatch(/more than 4000000 steps.*; the first problem found: \/0 must be string$/);
    expect(more).toEqual([]);
  });

  it('keeps each problem short, however long the schema’s lists are', () => {
    const [problem] = compileCheck({ enum: Array.from({ length: 5_000 }, (_, at) => `value ${at}`) }).problemsOf('x');
    expect(problem!.length).toBeLessThan(600);
  });

  it('takes no text for a format that is longer than any of that format', () => {
    const url = compileCheck({ format: 'url' });
    expect(url.problemsOf('https://a.example/x')).toEqual([]);
    expect(url.problemsOf(`http://${'::'.repeat(500_000)}`)).toHaveLength(1); // ajv-formats' own expression takes hours
    expect(compileCheck({ format: 'byte' }).problemsOf('AAAA'.repeat(1_000))).toEqual([]);
    expect(compileCheck({ format: 'int32' }).problemsOf(1.5)).toHaveLength(1);
  });
});

describe('unknownKeywords', () => {
  it('finds the first hundred of many, because each takes its time', () => {
    expect(unknownKeywords(Object.fromEntries(Array.from({ length: 80_000 }, (_, at) => [`propertie${at}`, 1])))).toHaveLength(100);
  });

  it('finds keywords that check nothing, wherever a schema stands, and what was perhaps meant', () => {
    const schema = {
      properties: { minumum: { minumum: 1, type: 'number' }, b: { items: [{ nullable: true }] } },
      additionalproperties: false,
      'x-form': {},
      const: { notAKeyword: 1 },
    };
    expect(unknownKeywords(schema)).toEqual([
      { path: ['additionalproperties'], similar: 'additionalProperties' },
      { path: ['properties', 'minumum', 'minumum'], similar: 'minimum' },
      { path: ['properties', 'b', 'items', '0', 'nullable'], similar: undefined },
    ]);
  });
});
