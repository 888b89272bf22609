import { expect, test } from 'vitest';
import { undescribedProperties, undescribedSdl } from './descriptions.js';

test('a property without a description is found wherever it stands, but not within values', () => {
  const schema = {
    oneOf: [
      { properties: { kind: { const: { properties: { a: {} } } }, spec: { description: 'x', items: { properties: { id: {} } } } } },
      { properties: { description: { description: 'a property of this name' } } },
    ],
    $defs: { a: { properties: { b: { description: '' } } } },
  };
  expect(undescribedProperties(schema)).toEqual(['/0.kind', '/0.spec.id', '/$defs.b']);
});

test('every type, field, argument, input field and enum value without a description is found', () => {
  const sdl = `
    "The root." type Query { a("n" x: Int y: I): E "described" b: Int }
    enum E { "one" ONE TWO }
    input I { "f" f: Int g: Int }`;
  const found = undescribedSdl(sdl);
  expect(found).toHaveLength(6);
  expect(found).toEqual(expect.arrayContaining(['Query.a', 'Query.a.y', 'E', 'E.TWO', 'I', 'I.g']));
});
