import { describe, expect, it } from 'vitest';
import { CompiledSchemas, compileSchema } from './output-schema.js';

describe('compileSchema', () => {
  it('judges by draft 2020-12, formats included', () => {
    const schema = compileSchema({ type: 'array', prefixItems: [{ type: 'string', format: 'email' }], items: false });
    expect(schema.problemsOf(['a@b.example'])).toEqual([]);
    expect(schema.problemsOf(['nobody'])).toEqual(['/0 must match format "email"']);
    expect(schema.problemsOf(['a@b.example', 1])).toHaveLength(1);
  });

  it('judges by draft-07 where the schema says that it is one', () => {
    const schema = compileSchema({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'array', items: [{ type: 'string' }] });
    expect(schema.problemsOf([1])).toEqual(['/0 must be string']);
  });

  it('takes no longer over a pattern that would explode, whatever the text', () => {
    const schema = compileSchema({ type: 'string', pattern: '^(\\w+\\s?)+$' });
    const startedAt = performance.now();
    expect(schema.problemsOf(`${'word '.repeat(5_000)}!`)).toHaveLength(1);
    expect(schema.problemsOf('two words')).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  it('tells several patterns of one schema apart', () => {
    const schema = compileSchema({
      properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } },
      patternProperties: { '^n': { type: 'number' } },
    });
    expect(schema.problemsOf({ a: 'a', b: 'b', n: 1 })).toEqual([]);
    expect(schema.problemsOf({ a: 'b', b: 'a', n: '' })).toHaveLength(3);
  });

  it('refuses a pattern that only a backtracking engine could run', () => {
    expect(() => compileSchema({ type: 'string', pattern: '(?=x)y' })).toThrow(/invalid perl operator|\(\?=/i);
  });

  it('refuses what is no schema', () => {
    expect(() => compileSchema({ type: 'strnig' })).toThrow(/type/);
  });

  it('lets two schemas have one $id, as two versions of a document do', () => {
    const at = (maximum: number) => compileSchema({ $id: 'https://millrace.example/score', type: 'number', maximum });
    expect(at(1).problemsOf(5)).toHaveLength(1);
    expect(at(10).problemsOf(5)).toEqual([]);
  });

  it('tells items apart by what they say, not by the order of their keys, in linear time', () => {
    const unique = compileSchema({ type: 'array', uniqueItems: true });
    expect(unique.problemsOf([1, '1', [1], ['1'], { a: 1, b: 2 }, { a: 1 }, null, 'null', true])).toEqual([]);
    expect(
      unique.problemsOf([
        { a: 1, b: { c: 1, d: 2 } },
        { b: { d: 2, c: 1 }, a: 1 },
      ]),
    ).toEqual(['the answer must NOT have duplicate items']);
    expect(unique.problemsOf(['x', 1, 'x'])).toHaveLength(1);
    expect(compileSchema({ type: 'array', uniqueItems: false }).problemsOf([1, 1])).toEqual([]);
    expect(unique.problemsOf(Array.from({ length: 100_000 }, (_, at) => ({ at })))).toEqual([]); // Ajv's own takes minutes
  });
});

describe('CompiledSchemas', () => {
  it('compiles equal schemas once, whichever object they are', () => {
    const schemas = new CompiledSchemas();
    expect(schemas.of({ type: 'string' })).toBe(schemas.of({ type: 'string' }));
    expect(schemas.of({ type: 'string' })).not.toBe(schemas.of({ type: 'number' }));
  });

  it('forgets the one that was not used for longest', () => {
    const schemas = new CompiledSchemas(2);
    const first = schemas.of({ type: 'string' });
    const second = schemas.of({ type: 'number' });
    schemas.of({ type: 'string' });
    schemas.of({ type: 'boolean' });
    expect(schemas.of({ type: 'string' })).toBe(first);
    expect(schemas.of({ type: 'number' })).not.toBe(second);
  });
});
