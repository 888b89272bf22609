import { describe, expect, it } from 'vitest';
import { fitsStrictSubset } from './strict-subset.js';

const closed = (properties: Record<string, object>, more: object = {}) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
});

describe('fitsStrictSubset', () => {
  it.each([
    ['a closed object with every property required', closed({ a: { type: 'string' }, b: { type: ['number', 'null'], minimum: 0 } })],
    ['closed objects at any depth', closed({ a: { type: 'array', items: closed({ b: { enum: ['x'] } }) } })],
    ['references', closed({ a: { $ref: '#/$defs/a' } }, { $defs: { a: { type: 'string', pattern: '^x' } } })],
    ['a property that is called like a keyword it may not use', closed({ not: { type: 'string' } })],
    ['its dialect', { $schema: 'https://json-schema.org/draft/2020-12/schema', ...closed({}) }],
  ])('holds for %s', (_, schema) => {
    expect(fitsStrictSubset(schema)).toBe(true);
  });

  it.each([
    ['an optional property', { ...closed({ a: { type: 'string' } }), required: [] }],
    ['an open object', { ...closed({}), additionalProperties: true }],
    ['an open object further down', closed({ a: { anyOf: [{ type: 'object', properties: {} }, { type: 'null' }] } })],
    ['a root that is no object', { type: 'array', items: { type: 'string' } }],
    ['alternatives at the root', { ...closed({}), anyOf: [closed({})] }],
    ['keywords outside of the subset', closed({ a: { type: 'string', maxLength: 5 } })],
    ['formats outside of the subset', closed({ a: { type: 'string', format: 'uri' } })],
  ])('does not hold for %s', (_, schema) => {
    expect(fitsStrictSubset(schema)).toBe(false);
  });
});
