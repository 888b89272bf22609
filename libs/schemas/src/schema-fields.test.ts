import { describe, expect, test } from 'vitest';
import { schemasOfField } from './schema-fields.js';

const text = { type: 'string' };
const schema = {
  type: 'object',
  properties: {
    plain: text,
    list: { type: 'array', items: { $ref: '#/$defs/item' } },
    either: { anyOf: [{ type: 'null' }, { type: 'object', properties: { deep: text } }] },
    named: { type: 'object', additionalProperties: { type: 'number' } },
    tuple: { prefixItems: [text, { type: 'number' }] },
    anything: true,
    elsewhere: { $ref: 'https://other.example/schema' },
    tree: { $ref: '#/$defs/tree' },
  },
  $defs: {
    item: { allOf: [{ properties: { quote: text } }], properties: { 'a/b': text } },
    tree: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#/$defs/tree' } } } },
  },
};

describe('a field of a schema', () => {
  test.each([
    ['plain', ['string']],
    ['list.*.quote', ['string']],
    ['list.*.a/b', ['string']],
    ['either', ['null', 'object']],
    ['either.deep', ['string']],
    ['named.whatever', ['number']],
    ['named.*', ['number']],
    ['tuple.*', ['string', 'number']],
    ['tree.children.*.children.*.children', ['array']],
  ])('is found: %s', (path, types) => {
    const found = schemasOfField(schema, path.split('.'));
    expect(found).toMatchObject({ isOpen: false });
    const { schemas } = found as unknown as { schemas: { type?: string }[] };
    expect(schemas.flatMap(({ type }) => type ?? []).toSorted()).toEqual(types.toSorted());
  });

  test.each([
    ['plane', 0, Object.keys(schema.properties)],
    ['list.quote', 1, ['*']],
    ['list.*.quot', 2, ['a/b', 'quote']],
    ['plain.x', 1, []],
  ])('is unknown: %s', (path, unknownAt, named) => {
    const found = schemasOfField(schema, path.split('.')) as unknown as { named: string[] };
    expect(found).toMatchObject({ unknownAt });
    expect(found.named.toSorted()).toEqual(named.toSorted());
  });

  test('is excluded where no other property is allowed', () => {
    expect(schemasOfField({ properties: { a: text } }, ['b'])).toMatchObject({ isExcluded: false });
    expect(schemasOfField({ properties: { a: text }, additionalProperties: false }, ['b'])).toMatchObject({ isExcluded: true });
  });

  test.each(['anything.x.y', 'elsewhere.x'])('may be there where the schema does not say: %s', (path) => {
    expect(schemasOfField(schema, path.split('.'))).toMatchObject({ isOpen: true });
  });
});
