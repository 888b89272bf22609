import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { document, mapSecrets, marksOf, referencesOf } from './document.js';
import type { Document } from './document.js';
import { mapMarked, marked, markedValues, requireReachableMarks } from './marks.js';
import { expression } from './references.js';

const head = (kind: string) => ({ apiVersion: 'millrace/v1', kind, metadata: { tenant: 'acme', name: 'one' } });

/** Values that no valid document has by chance, so that a test can find them again without knowing where they may stand. */
let counter = 0;
const unique = (kind: string): string => `${kind}_${(counter += 1)}`;
const secrets = fc.array(
  fc.constant(null).map(() => ({ value: unique('secret') })),
  { minLength: 1, maxLength: 4 },
);
const expressions = fc.constant(null).map(() => unique('expression'));
const names = fc.constant(null).map(() => unique('name').replace('_', '-'));
const optional = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(values, { nil: undefined });
const extraction = { customer: optional(expressions), type: optional(expressions), eventId: optional(expressions) };

const sources = fc.oneof(
  fc.record({ scheme: fc.constant('stripe'), secrets, ...extraction }),
  fc.record({ scheme: fc.constant('custom'), custom: fc.constant({ header: 'x-signature' }), secrets, ...extraction }),
  fc.record({ scheme: fc.constant('api-key'), ...extraction }),
);
const destinations = fc.record({
  kind: fc.constant('http'),
  url: fc.oneof(
    fc.constant('https://crm.example/in'),
    fc.constant(null).map(() => `https://crm.example/in?token=${unique('secret')}`),
    fc.constant(null).map(() => ({ value: `https://crm.example/${unique('secret')}` })),
  ),
  secret: fc.constant(null).map(() => ({ value: unique('secret') })),
  headers: fc.record({
    'x-region': fc.constant('eu'),
    'x-note': fc.constant(null).map(() => ({ value: unique('secret') })),
    authorization: fc.constant(null).map(() => `Bearer ${unique('secret')}`),
  }),
});
const leaf = fc.oneof(
  fc.record({
    infer: fc.record({
      model: fc.constant(null).map(() => unique('model')),
      instructions: fc.constant('i'),
      input: optional(expressions),
      output: fc.constant(null).map(() => ({ title: unique('schema') })),
    }),
  }),
  fc.record({
    validate: fc.record({
      input: expressions,
      rules: fc.array(fc.record({ check: expressions, message: fc.constant('m') }), { minLength: 1, maxLength: 3 }),
    }),
  }),
  fc.record({ map: fc.record({ expression: expressions }) }),
  fc.record({ deliver: fc.record({ destination: names, payload: optional(expressions) }) }),
);
const { step } = fc.letrec<{ step: object }>((tie) => {
  const list = fc
    .array(tie('step'), { maxLength: 2 })
    .map((steps) => steps.map((spec) => ({ id: unique('id').replace('_', '-'), ...spec })));
  const branch = fc.record({
    branch: fc.record({
      cases: fc.array(fc.record({ when: expressions, steps: list }), { minLength: 1, maxLength: 2 }),
      else: optional(list),
    }),
  });
  return { step: fc.oneof({ maxDepth: 2 }, leaf, branch) };
});
const flows = fc.record({
  on: fc.record({ sources: optional(fc.array(names, { minLength: 1, maxLength: 3 })), when: optional(expressions) }),
  steps: fc
    .array(fc.tuple(step, optional(expressions)), { minLength: 1, maxLength: 5 })
    .map((steps) => steps.map(([spec, when], at) => ({ id: `s${at}`, when, ...spec }))),
  decision: optional(expressions),
});
const documents: fc.Arbitrary<Document> = fc
  .oneof(
    sources.map((spec) => ({ ...head('Source'), spec })),
    destinations.map((spec) => ({ ...head('Destination'), spec })),
    flows.map((spec) => ({ ...head('Flow'), spec })),
  )
  .map((given) => document.parse(given));

const inText = (given: Document, kind: string): string[] =>
  [...JSON.stringify(given).matchAll(new RegExp(`${kind}[_-]\\d+`, 'g'))].map(([text]) => text).toSorted();
const at = (given: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], given);

test('every secret, expression, schema and name of a document is found, at its path, and nothing else', () => {
  fc.assert(
    fc.property(documents, (given) => {
      const found = marksOf(given);
      for (const { value, path } of found) expect(at(given, path)).toBe(value);
      const ofKind = (kind: string): string[] =>
        found
          .flatMap(({ mark, value }) =>
            mark.kind === kind ? [...JSON.stringify(value).matchAll(/[a-z]+[_-]\d+/g)].map(([text]) => text) : [],
          )
          .toSorted();
      expect(ofKind('secret')).toEqual(inText(given, 'secret'));
      expect(ofKind('expression')).toEqual(inText(given, 'expression'));
      expect(ofKind('model')).toEqual(inText(given, 'model'));
      expect(ofKind('jsonSchema')).toEqual(inText(given, 'schema'));
      expect(
        referencesOf(given)
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual(inText(given, 'name'));
    }),
  );
});

test('changing the secrets of a document changes them all, and nothing beside them', () => {
  fc.assert(
    fc.property(documents, (given) => {
      const before = JSON.stringify(given);
      const sealed = mapSecrets(given, () => ({ sealed: 'v1', fingerprint: 'f' }));
      expect(JSON.stringify(sealed)).not.toMatch(/secret_\d/);
      expect(marksOf(sealed).filter(({ mark }) => mark.kind !== 'secret')).toEqual(
        marksOf(given).filter(({ mark }) => mark.kind !== 'secret'),
      );
      expect(JSON.stringify(given)).toBe(before);
    }),
  );
});

test('a part of a document without a change is the same object', () => {
  const given = { spec: { kept: { deep: 1 }, expression: 'a' } };
  const schema = z.object({ spec: z.object({ kept: z.object({ deep: z.number() }), expression }) });
  const changed = mapMarked(schema, given, () => 'b');
  expect(changed).toEqual({ spec: { kept: { deep: 1 }, expression: 'b' } });
  expect(changed.spec.kept).toBe(given.spec.kept);
});

test('a mark keeps through optional, describe, refine, default and a wrapper of them', () => {
  const schema = z.object({
    a: expression
      .refine(() => true)
      .optional()
      .describe('x')
      .default('d'),
  });
  expect(mapMarked(schema, { a: 'before' }, ({ mark }) => mark.kind)).toEqual({ a: 'expression' });
});

test('a mark where nothing would look for it is refused when the contracts are loaded', () => {
  const hidden = z.object({ list: z.tuple([marked({ kind: 'secret' }, z.string())]) });
  expect(() => requireReachableMarks(hidden)).toThrow('A mark below list stands in a schema of type tuple');
});

test('a parameter of a source can be a secret, which is found to be encrypted like any other', () => {
  const spec = { scheme: 'meta', secrets: [{ value: 'app' }], parameters: { verifyToken: { value: 'token' }, plain: 'text' } };
  const source = document.parse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'acme', name: 'meta' }, spec });
  const found = markedValues(document, source).filter(({ mark }) => mark.kind === 'secret');
  expect(found.map(({ path }) => path.join('.')).toSorted()).toEqual(['spec.parameters.verifyToken', 'spec.secrets.0']);
});
