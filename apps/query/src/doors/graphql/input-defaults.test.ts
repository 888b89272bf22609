import { buildSchema, parse } from 'graphql';
import type { OperationDefinitionNode } from 'graphql';
import { expect, test } from 'vitest';
import { withDefaults } from './input-defaults.js';

const schema = buildSchema(`
  enum Order { NEWEST OLDEST }
  input Page { size: Int! = 20, order: Order! = NEWEST }
  input Find { page: Page, pages: [Page!], dryRun: Boolean! = false, text: String }
  type Query { find(input: Find!): Int }
`);
const completed = (variables: Record<string, unknown>): Record<string, unknown> =>
  withDefaults(schema, parse('query ($input: Find!) { find(input: $input) }').definitions[0] as OperationDefinitionNode, variables);

test('a field that is left out has its default, at every depth, as a request would write it', () => {
  expect(completed({ input: { page: {}, pages: [{ size: 5 }, { order: 'OLDEST' }] } })).toEqual({
    input: {
      page: { size: 20, order: 'NEWEST' },
      pages: [
        { size: 5, order: 'NEWEST' },
        { size: 20, order: 'OLDEST' },
      ],
      dryRun: false,
    },
  });
});

test('a given field, a null and a variable that is left out stay as they are', () => {
  expect(completed({ input: { page: null, dryRun: true, text: null } })).toEqual({ input: { page: null, dryRun: true, text: null } });
  expect(completed({})).toEqual({});
});

test('a variable that is left out has the default of the request', () => {
  const [operation] = parse('query ($page: Page! = { size: 3 }, $order: Order! = OLDEST) { __typename }').definitions;
  expect(withDefaults(schema, operation as OperationDefinitionNode, {})).toEqual({ page: { size: 3, order: 'NEWEST' }, order: 'OLDEST' });
});

test('a single value stands for a list of one', () => {
  expect(completed({ input: { pages: { size: 1 } } })).toMatchObject({ input: { pages: { size: 1, order: 'NEWEST' } } });
});

test('the given variables are not changed', () => {
  const given = { input: {} };
  completed(given);
  expect(given).toEqual({ input: {} });
});
