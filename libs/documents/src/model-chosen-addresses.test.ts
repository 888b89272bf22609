import { describe, expect, test } from 'vitest';
import type { Document, DocumentLookup } from '#libs/contracts';
import { readDocument } from './document-problems.js';
import { modelChosenAddresses } from './model-chosen-addresses.js';

const documentOf = (kind: string, name: string, spec: object): Document => {
  const read = readDocument({ apiVersion: 'millrace/v1', kind, metadata: { tenant: 'acme', name }, spec });
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  return read.document;
};

const operation = (input: object, effect = 'write'): object => ({
  summary: 'Do it.',
  effect,
  ...(effect === 'write' && { idempotency: { class: 'absolute' } }),
  input,
  request: { method: 'POST', path: '/things', body: 'input' },
});
const desk = documentOf('Connector', 'desk', {
  summary: 'A desk.',
  base: 'https://desk.example',
  hosts: ['desk.example'],
  auth: [{ kind: 'none' }],
  operations: {
    note: operation({ type: 'object' }),
    assign: operation({
      type: 'object',
      properties: { to: { type: 'object', properties: { team: { 'x-address': true, type: 'string' } } }, text: { type: 'string' } },
    }),
  },
});

const text = { type: 'string' };
const assess = {
  id: 'assess',
  infer: {
    model: 'm',
    instructions: 'Assess.',
    output: {
      type: 'object',
      properties: {
        to: text,
        text,
        urgent: { type: 'boolean' },
        kind: { enum: ['a', 'b'] },
        order: text,
        list: { type: 'array', items: { type: 'object', properties: { to: text, kind: { enum: ['a'] } } } },
      },
    },
    grounded: [{ field: 'order', as: 'id', in: 'event.data.orders' }],
  },
};

const others: Document[] = [
  desk,
  documentOf('Connection', 'mail', { connector: 'smtp', settings: { host: 'mail.example' }, auth: { kind: 'none' } }),
  documentOf('Connection', 'api', { connector: 'rest', settings: { base: 'https://api.example' }, auth: { kind: 'none' } }),
  documentOf('Connection', 'chat', { connector: 'slack', auth: { kind: 'bearer', token: { value: 'x'.repeat(20) } } }),
  documentOf('Connection', 'desk', { connector: 'desk', auth: { kind: 'none' } }),
  documentOf('Destination', 'mails', { kind: 'operation', connection: 'mail', operation: 'send' }),
  documentOf('Destination', 'channel', {
    kind: 'operation',
    connection: 'chat',
    operation: 'postMessage',
    input: '{ "channel": payload.decision.channel, "text": payload.decision.text }',
  }),
  documentOf('Destination', 'fixed', {
    kind: 'operation',
    connection: 'chat',
    operation: 'postMessage',
    input: '{ "channel": "C1", "text": payload.text }',
  }),
  documentOf('Destination', 'crm', {
    kind: 'http',
    url: 'https://crm.example',
    secret: { value: `whsec_${Buffer.alloc(24).toString('base64')}` },
  }),
  documentOf('Flow', 'writes', { steps: [assess] }),
  documentOf('Flow', 'passes', { steps: [{ id: 'pass', map: { expression: '{ "to": event.data.address }' } }] }),
];

function doubts(steps: object[], more: object = {}): string[] {
  const flow = documentOf('Flow', 'flow', { steps: [assess, ...steps], ...more });
  const find: DocumentLookup = (kind, name) => [...others, flow].find((one) => one.kind === kind && one.metadata.name === name);
  return modelChosenAddresses(flow, find).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const review = (more: object) => ({ id: 'seen', review: { proposal: 'steps.assess.to', expiresAfter: 'P1D', ...more } });
const send = (input: string): object => ({ id: 'send', call: { connection: 'mail', operation: 'send', input, atLeastOnce: true } });
const map = (id: string, expression: string): object => ({ id, map: { expression } });
const mail = (to: string): string => `{ "to": ${to}, "subject": "s", "text": steps.assess.text }`;

test('an address that a model wrote is a doubt, which names the field, the source and the remedy', () => {
  expect(doubts([send(mail('steps.assess.to'))])).toEqual([
    'spec.steps.1.call.input: lets a model choose where mail.send goes: to comes from what it wrote (steps.assess.to), so whoever writes the event may choose it; let the flow name the address, by a condition over an `enum` of the output or by `grounded` with `in`',
  ]);
});

describe('an address comes from a model', () => {
  test.each<[string, object[]]>([
    ['with text around it', [send(mail('"x-" & steps.assess.to & "@a.example"'))]],
    ['within an object', [send(mail('{ "address": steps.assess.to, "name": "N" }'))]],
    ['out of a list', [send(mail('steps.assess.list.to'))]],
    ['out of a list of the model, by an item', [send(mail('steps.assess.list[0].to'))]],
    ['as the whole input', [send('steps.assess')]],
    ['through a map', [map('action', '{ "who": steps.assess.to }'), send(mail('steps.action.who'))]],
    [
      'through a validate step',
      [{ id: 'ok', validate: { input: 'steps.assess', rules: [{ check: 'true', message: 'm' }] } }, send(mail('steps.ok.to'))],
    ],
    [
      'through a branch',
      [
        { id: 'route', branch: { cases: [{ when: 'true', steps: [map('one', 'steps.assess.to')] }], else: [map('two', '"x"')] } },
        send(mail('steps.route')),
      ],
    ],
    ['through the items of a forEach', [{ id: 'each', forEach: { items: 'steps.assess.list', as: 'one', steps: [send(mail('one.to'))] } }]],
    [
      'through the output of a forEach',
      [{ id: 'each', forEach: { items: '[1]', steps: [map('inner', 'steps.assess.to')] } }, send(mail('steps.each'))],
    ],
    ['through another flow', [{ id: 'other', call: { flow: 'writes' } }, send(mail('steps.other.to'))]],
    [
      'through another flow that only passes it on',
      [{ id: 'other', call: { flow: 'passes', input: '{ "address": steps.assess.to }' } }, send(mail('steps.other.to'))],
    ],
    ['through a fallback', [{ ...map('safe', '"x"'), onError: { value: 'steps.assess.to' } }, send(mail('steps.safe'))]],
    [
      'as the path of a request',
      [{ id: 'r', enrich: { connection: 'api', operation: 'read', input: '{ "path": "/a", "segments": [steps.assess.to] }' } }],
    ],
    [
      'as a field within the input',
      [{ id: 'd', call: { connection: 'desk', operation: 'assign', input: '{ "to": { "team": steps.assess.to } }' } }],
    ],
    ['in the payload of a delivery', [{ id: 'deliver', deliver: { destination: 'mails', payload: mail('steps.assess.to') } }]],
    [
      'in the decision that a delivery has',
      [map('end', '{ "channel": steps.assess.to, "text": "t" }'), { id: 'deliver', deliver: { destination: 'channel' } }],
    ],
    ['if a review is not always needed', [review({ needed: 'steps.assess.urgent' }), send(mail('steps.seen.value'))]],
    ['if a review falls back to it', [review({ default: 'steps.assess.to' }), send(mail('steps.seen.value'))]],
    ['in the whole of what the steps know', [send('{ "to": $string(steps), "subject": "s", "text": "t" }')]],
  ])('%s', (_, steps) => expect(doubts(steps)).toHaveLength(1));

  test('in an onFailure', () => {
    const onFailure = { policy: 'skip', steps: [send(mail('steps.assess.to'))] };
    expect(doubts([], { onFailure })).toEqual([expect.stringMatching(/^spec\.onFailure\.steps\.0\.call\.input: /)]);
  });
});

describe('an address does not come from a model', () => {
  test.each<[string, object[]]>([
    ['if a person sees it', [review({ default: '"ops@a.example"' }), send(mail('steps.seen.value'))]],
    ['if the flow names it', [send(mail('"ops@a.example"'))]],
    ['if the event names it', [send(mail('event.data.customer.mail'))]],
    ['if a condition chooses it', [send(mail('steps.assess.urgent ? "now@a.example" : "later@a.example"'))]],
    ['if the model chooses a key', [send(mail('$lookup({ "a": "a@a.example", "b": "b@a.example" }, steps.assess.kind)'))]],
    ['if the model chooses a word of an enum', [send(mail('steps.assess.kind & "@a.example"'))]],
    ['if the model chooses a word of an enum in a list', [send(mail('steps.assess.list.kind'))]],
    [
      'if the value is one of a source',
      [
        {
          id: 'r',
          call: {
            connection: 'api',
            operation: 'request',
            input: '{ "path": "/o", "segments": [steps.assess.order] }',
            idempotency: { class: 'absolute' },
          },
        },
      ],
    ],
    [
      'if another system answered it',
      [
        { id: 'who', enrich: { connection: 'api', operation: 'read', input: '{ "path": "/who", "query": { "q": steps.assess.text } }' } },
        send(mail('steps.who.body.mail')),
      ],
    ],
    [
      'in a field that is no address',
      [{ id: 'd', call: { connection: 'desk', operation: 'assign', input: '{ "to": { "team": "a" }, "text": steps.assess.text }' } }],
    ],
    ['in an operation without addresses', [{ id: 'd', call: { connection: 'desk', operation: 'note', input: 'steps.assess' } }]],
    [
      'at a destination with an address of its own',
      [
        { id: 'a', deliver: { destination: 'fixed', payload: 'steps.assess' } },
        { id: 'b', deliver: { destination: 'crm' } },
      ],
    ],
  ])('%s', (_, steps) => expect(doubts(steps)).toEqual([]));
});

test('steps that double their sources are followed in bounded time', () => {
  const steps = Array.from({ length: 40 }, (_, at) =>
    map(`m${at}`, at === 0 ? 'steps.assess' : `[steps.m${at - 1}.x, steps.m${at - 1}.y]`),
  );
  expect(doubts([...steps, send(mail('steps.m39.y'))])).toHaveLength(1);
  expect(doubts([...steps.slice(0, 5), send(mail('steps.m4.y'))])).toHaveLength(1);
});
