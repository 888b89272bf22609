import { isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredInputField, isScalarType } from 'graphql';
import type { GraphQLInputType } from 'graphql';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';
import { contractSchema } from '../doors/graphql/contract.js';
import { contractOperations } from './operation-runner.js';

let server: QueryServer;
const tenant = uniqueName('tenant');
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());

/** A value that the type accepts, with nothing optional in it. */
function smallest(type: GraphQLInputType): unknown {
  if (isNonNullType(type)) return smallest(type.ofType);
  if (isListType(type)) return [smallest(type.ofType)];
  if (isEnumType(type)) return type.getValues()[0]!.name;
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const required = type.isOneOf ? fields.slice(0, 1) : fields.filter((field) => isRequiredInputField(field));
    return Object.fromEntries(required.map((field) => [field.name, smallest(field.type)]));
  }
  return { Int: 1, Boolean: false, DateTime: '2026-11-29T08:00:00Z', JSON: {} }[type.name] ?? 'text';
}

/** For every place in the type where a value of these scalars may stand: its path, and a value of the type with `given` there. */
function* places(type: GraphQLInputType, scalars: readonly string[], given: unknown): Generator<{ path: string[]; value: unknown }> {
  if (isNonNullType(type)) yield* places(type.ofType, scalars, given);
  else if (isListType(type)) {
    for (const { path, value } of places(type.ofType, scalars, given)) yield { path: ['0', ...path], value: [value] };
  } else if (isInputObjectType(type)) {
    for (const field of Object.values(type.getFields())) {
      for (const { path, value } of places(field.type, scalars, given)) {
        const rest = type.isOneOf ? {} : (smallest(type) as object);
        yield { path: [field.name, ...path], value: { ...rest, [field.name]: value } };
      }
    }
  } else if (isScalarType(type) && scalars.includes(type.name)) yield { path: [], value: given };
}

interface Place {
  operation: string;
  query: string;
  variables: Record<string, unknown>;
  path: string;
}

/** Every place in the arguments of every query and mutation. */
function everyPlace(scalars: readonly string[], given: unknown): Place[] {
  const roots = [
    { keyword: 'query', type: contractSchema.getQueryType()! },
    { keyword: 'mutation', type: contractSchema.getMutationType()! },
  ];
  return roots.flatMap(({ keyword, type }) =>
    Object.values(type.getFields()).flatMap((field) =>
      field.args.flatMap((argument) =>
        [...places(argument.type, scalars, given)].map(({ path, value }) => {
          const needed = field.args.filter((one) => one === argument || isNonNullType(one.type));
          const declared = needed.map((one) => `$${one.name}: ${String(one.type)}`).join(', ');
          const passed = needed.map((one) => `${one.name}: $${one.name}`).join(', ');
          const selection =
            String(field.type) === 'ApiKey' ? '' : ' { __typename ... on ValidationError { code violations { path message } } }';
          return {
            operation: field.name,
            query: `${keyword} (${declared}) { found: ${field.name}(${passed})${keyword === 'query' ? ' { __typename }' : selection} }`,
            variables: Object.fromEntries(needed.map((one) => [one.name, one === argument ? value : smallest(one.type)])),
            path: [argument.name, ...path].join('.'),
          };
        }),
      ),
    ),
  );
}

/** The path and message of the refusal as a caller sees it; what was answered instead where there is none. */
async function refusal({ query, variables }: Place): Promise<unknown[]> {
  const { data, errors } = await server.ask<{ found: { violations?: { path: string[]; message: string }[] } | null }>(
    { operatorIn: tenant },
    query,
    variables,
  );
  if (errors !== undefined) return [errors[0]!.extensions.code, errors[0]!.extensions.argument, errors[0]!.message];
  const violation = data?.found?.violations?.[0];
  return violation === undefined ? [data] : ['request.invalid', violation.path.join('.'), violation.message];
}

const cannotBeStored = [
  ['NUL', 'a\u0000b'],
  ['half of a surrogate pair', 'a\ud800'],
  ['the other half', '\udc00b'],
] as const;

describe('text that Postgres cannot store', () => {
  test.each(cannotBeStored)('%s is refused by the name of its field, wherever a caller can write it', async (_what, text) => {
    const found = everyPlace(['String', 'ID'], text);
    expect(found.length).toBeGreaterThan(60);
    const answers = await Promise.all(found.map(async (place) => [place.operation, ...(await refusal(place))]));
    expect(answers).toEqual(found.map(({ operation, path }) => [operation, 'request.invalid', path, expect.stringContaining('U+')]));
  });

  test('is refused in the values and the names of a document too', async () => {
    for (const given of [{ a: { b: ['x', 'a\u0000'] } }, { a: { 'b\ud800': 1 } }]) {
      for (const place of everyPlace(['JSON'], given)) {
        const field = expect.stringMatching(/^\w+(\.\w+)*\.a/) as string;
        expect(await refusal(place)).toEqual(['request.invalid', field, expect.stringContaining('U+')]);
      }
    }
  });

  test('names nothing where an id hides it', async () => {
    const hidden = `cus_${Buffer.from('a\u0000b').toString('base64url')}`;
    expect(
      await server.data({ operatorIn: tenant }, 'query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }', { id: hidden }),
    ).toEqual({
      node: null,
      nodes: [null],
    });
  });
});

describe('a moment', () => {
  test.each([
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '2026-02-30T08:00:00Z',
    '2026-11-21T24:00:00Z',
    '1900-02-29T08:00:00Z',
    '2026-11-21T08:00:60Z',
    '2026-11-21T08:00:00+24:00',
    '2026-11-21T08:00:00+01:60',
    '2026-11-21',
  ])('such as %s, which Postgres or a calendar does not have, is refused wherever a caller can write it', async (text) => {
    const found = everyPlace(['DateTime'], text);
    expect(found.length).toBeGreaterThan(5);
    for (const place of found) {
      const [code, argument, message] = await refusal(place);
      expect([place.path, code, argument]).toEqual([place.path, 'request.invalid', place.path]);
      expect(message).toContain(`at "${place.path}"; must be a moment of the years 1 to 9999 with its zone, such as 2026-11-21T08:00:00Z`);
    }
  });

  test.each([
    ['in the text of a query', 'filter: { sources: ["a", "b"], receivedFrom: "yesterday" }', {}, 'filter.receivedFrom must be a moment'],
    [
      'in a variable of its own',
      'filter: { sources: ["a"], receivedFrom: $at }',
      { at: 'yesterday' },
      'Variable "$at" got invalid value "yesterday" at "filter.receivedFrom"; must be a moment',
    ],
    [
      'within a variable',
      'filter: $filter',
      { filter: { receivedFrom: 'yesterday' } },
      'Variable "$filter" got invalid value "yesterday" at "filter.receivedFrom"; must be a moment',
    ],
  ])('that is none is refused with its argument and place, %s', async (_, argument, variables, message) => {
    const types = { at: 'DateTime', filter: 'EventFilter' };
    const declared = Object.keys(variables).map((name) => `$${name}: ${types[name as keyof typeof types]}`);
    const query = `query ${declared.length === 0 ? '' : `(${declared.join(', ')})`} { events(first: 1, ${argument}) { nodes { id } } }`;
    const { errors } = await server.ask({ operatorIn: tenant }, query, variables);
    expect(errors).toEqual([
      expect.objectContaining({
        message: expect.stringContaining(message) as string,
        locations: [{ line: 1, column: expect.any(Number) as number }],
        extensions: expect.objectContaining({ code: 'request.invalid', argument: 'filter.receivedFrom' }) as object,
      }),
    ]);
  });

  test('in a list of documents that is too deep is refused by its argument', async () => {
    const deep = '['.repeat(200) + ']'.repeat(200);
    const query = `mutation { applyDocuments(input: { documents: [{ kind: "a" }, ${deep}] }) { __typename } }`;
    const { errors } = await server.ask({ operatorIn: tenant }, query);
    expect(errors?.[0]).toMatchObject({
      message: 'input.documents may be nested at most 128 levels deep',
      extensions: { code: 'request.invalid', argument: 'input.documents' },
    });
  });

  test.each(['0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '2024-02-29t08:00:00.123456789+14:00'])(
    'such as %s is one',
    async (text) => {
      const query = 'query ($at: DateTime!) { events(filter: { receivedFrom: $at }) { nodes { id } } }';
      expect(await server.data({ operatorIn: tenant }, query, { at: text })).toEqual({ events: { nodes: [] } });
    },
  );
});

const inherited = ['constructor', '__proto__', 'toString', 'hasOwnProperty'];

describe('a list', () => {
  test('is refused beyond its bound, wherever a caller can write one', () => {
    const unbounded = contractOperations.flatMap(({ name, input }) => listsWithoutBound(input).map((path) => `${name}: ${path}`));
    expect(unbounded).toEqual([]);
  });

  test('of 100 000 sources is refused by its name', async () => {
    const sources = Array.from({ length: 100_000 }, (_, n) => `s${n}`);
    const query = 'query ($sources: [String!]) { events(filter: { sources: $sources }) { nodes { id } } }';
    const { errors } = await server.ask({ operatorIn: tenant }, query, { sources });
    expect(errors?.[0]).toMatchObject({
      message: 'filter.sources may have at most 20 entries',
      extensions: { code: 'request.invalid', argument: 'filter.sources' },
    });
  });
});

/** The paths of the lists in a schema that may have any length. */
function listsWithoutBound(schema: z.core.$ZodType, path: readonly string[] = []): string[] {
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  if (innerType !== undefined) return listsWithoutBound(innerType, path);
  if (schema instanceof z.ZodObject) {
    const fields = Object.entries<z.core.$ZodType>(schema.shape);
    return fields.flatMap(([name, field]) => listsWithoutBound(field, [...path, name]));
  }
  if (!(schema instanceof z.ZodArray)) return [];
  const isBounded = schema.def.checks?.some(({ _zod: { def } }) => def.check === 'max_length') ?? false;
  return [...(isBounded ? [] : [path.join('.')]), ...listsWithoutBound(schema.element, [...path, '*'])];
}

test('a subscription by POST is refused with the way to send it', async () => {
  const { status, errors } = await server.ask({ operatorIn: tenant }, 'subscription { eventChanged { change } }');
  expect([status, errors?.[0]?.extensions]).toEqual([400, { code: 'request.invalid', outcome: 'reject', argument: 'query' }]);
  expect(errors?.[0]?.message).toMatch(/text\/event-stream.*graphql-transport-ws/);
});

describe('a name that every object of JavaScript has', () => {
  // Not `__proto__`: the parser of bodies refuses a field of this name.
  test.each(inherited)('is the name of nothing: %s', async (text) => {
    const found = everyPlace(['String', 'ID'], text);
    for (const place of found) {
      const { status, errors } = await server.ask({ operatorIn: tenant }, place.query, place.variables);
      expect([place.operation, place.path, status, errors?.[0]?.extensions.code]).not.toContain('request.defect');
    }
  });

  test.each(inherited.filter((text) => text !== '__proto__'))(
    'can be the name of a variable, an alias and an operation, for compiled documents too: %s',
    async (text) => {
      const query = `query ${text} ($${text}: ID!, $valueOf: Int) { ${text}: event(id: $${text}) { ${text}: id } events(first: $valueOf) { nodes { id } } }`;
      for (let time = 0; time < 7; time += 1) {
        const response = await server.send(`{"query":${JSON.stringify(query)},"variables":{"${text}":"evt_1"}}`, {
          authorization: `Bearer ${server.operatorKey}`,
          'millrace-tenant': tenant,
        });
        expect(await response.json()).not.toHaveProperty('errors');
      }
    },
  );
});
