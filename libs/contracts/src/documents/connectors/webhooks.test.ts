import { expect, test } from 'vitest';
import { connectorDocument } from '../connector.document.js';

const operation = (effect: 'read' | 'write') => ({
  summary: 'Do it.',
  effect,
  input: {},
  request: { path: '/hooks' },
  ...(effect === 'write' ? { idempotency: { class: 'absolute' } } : {}),
});
const webhooks = {
  kind: 'api',
  scheme: 'stripe',
  list: { operation: 'list', id: 'item.id', url: 'item.url', events: 'item.events' },
  create: { operation: 'make', input: '{ "url": url }', id: 'output.id' },
  delete: { operation: 'remove', input: '{ "id": id }' },
  secret: { kind: 'generated' },
};
const problemsOf = (change: object): string[] => {
  const { error } = connectorDocument.safeParse({
    apiVersion: 'millrace/v1',
    kind: 'Connector',
    metadata: { tenant: 'acme', name: 'desk' },
    spec: {
      summary: 'A desk.',
      base: 'https://desk.example',
      hosts: ['desk.example'],
      auth: [{ kind: 'bearer' }],
      operations: { list: operation('read'), make: operation('write'), remove: operation('write') },
      webhooks: { ...webhooks, ...change },
    },
  });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('webhooks name operations of their connector, each with the effect that is needed', () => {
  expect(problemsOf({})).toEqual([]);
  expect(problemsOf({ create: { ...webhooks.create, operation: 'mak' } })).toEqual([
    'spec.webhooks.create.operation: names no operation of this connector: mak',
  ]);
  expect(problemsOf({ list: { ...webhooks.list, operation: 'make' } })).toEqual([
    'spec.webhooks.list.operation: must be an operation that reads: make',
  ]);
  expect(problemsOf({ update: { operation: 'list', input: '{}' } })).toEqual([
    'spec.webhooks.update.operation: must be an operation that writes: list',
  ]);
});

test('webhooks for one event each have a secret that is fixed: a source keeps two', () => {
  expect(problemsOf({ perEvent: true })).toEqual([
    'spec.webhooks.perEvent: needs a secret that is fixed: each webhook would have another one',
  ]);
  expect(problemsOf({ perEvent: true, secret: { kind: 'fixed', note: 'Of the app.' } })).toEqual([]);
});
