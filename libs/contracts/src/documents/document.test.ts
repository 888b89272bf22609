import { expect, test } from 'vitest';
import { z } from 'zod';
import { canHoldSecrets, document, documentKinds } from './document.js';
import { stepKinds } from './flow.document.js';

const source = (spec: object) => ({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'acme', name: 's' }, spec });
const flow = (steps: object[]) => ({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant: 'acme', name: 'f' }, spec: { steps } });
const destination = (headers: object) => ({
  apiVersion: 'millrace/v1',
  kind: 'Destination',
  metadata: { tenant: 'acme', name: 'd' },
  spec: { kind: 'http', url: 'https://example.com/in', secret: { value: 'whsec_x' }, headers },
});
const problems = (input: unknown) => {
  const result = document.safeParse(input);
  return result.success ? [] : result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
};

test('a preset needs nothing but its secrets', () => {
  expect(problems(source({ scheme: 'stripe', secrets: [{ value: 'whsec_x' }] }))).toEqual([]);
});

test('a custom scheme whose timestamp is not signed is refused', () => {
  const custom = { header: 'x-sig', timestampHeader: 'x-time' };
  expect(problems(source({ scheme: 'custom', custom, secrets: [{ value: 'k' }] }))).toEqual([
    'spec.custom.template: must contain {timestamp}: a timestamp that is not signed proves nothing',
  ]);
});

test('an upsert needs an order, or the object of which a newer delivery takes the place of an older one', () => {
  const upsert = (more: object) => {
    const { spec, ...head } = destination({});
    return problems({ ...head, spec: { ...spec, idempotency: { class: 'upsert' }, ...more } });
  };
  expect(upsert({})).toEqual([expect.stringMatching(/^spec\.order: must be strict, or `supersede` must name the object/)]);
  expect(upsert({ order: 'strict' })).toEqual([]);
  expect(upsert({ supersede: 'payload.id' })).toEqual([]);
});

test.each([
  [{ class: 'exactly-once' }, 'spec.idempotency.class'],
  [{ class: 'none', windowMs: 600_000 }, 'spec.idempotency'],
  [{ class: 'key', windowMs: 599_999 }, 'spec.idempotency.windowMs'],
  [{ class: 'key', windowMs: 365 * 86_400_000 + 1 }, 'spec.idempotency.windowMs'],
])('the idempotency %j is refused by the field that is wrong', (idempotency, path) => {
  const { spec, ...head } = destination({});
  expect(problems({ ...head, spec: { ...spec, idempotency } })).toEqual([expect.stringContaining(`${path}: `)]);
});

test('a step names exactly one kind, and needs only steps above it', () => {
  const steps = [
    { id: 'a', map: { expression: '1' }, deliver: { destination: 'd' } },
    { id: 'b', needs: ['c'], map: { expression: '1' } },
  ];
  expect(problems(flow(steps))).toEqual([
    `spec.steps.0: must have exactly one of ${stepKinds.join(', ')}; it has deliver and map`,
    'spec.steps.1.needs.0: names no step above this one: c',
  ]);
});

const mapStep = (id: string, more: object = {}) => ({ id, map: { expression: '1' }, ...more });
const route = (id: string, steps: object[], otherwise?: object[]) => ({
  id,
  branch: { cases: [{ when: 'true', steps }], ...(otherwise && { else: otherwise }) },
});

test('steps within a step keep the rules of a list, and their ids are unique in the whole flow', () => {
  expect(problems(flow([mapStep('a'), route('r', [mapStep('b'), mapStep('c', { needs: ['b'] })], [])]))).toEqual([]);
  const inCase = [mapStep('a'), mapStep('b', { needs: ['a', 'c'] })];
  const inElse = [mapStep('c', { needs: ['b'] }), { id: 'd' }];
  expect(problems(flow([mapStep('a'), route('r', inCase, inElse)]))).toEqual([
    `spec.steps.1.branch.else.1: must have exactly one of ${stepKinds.join(', ')}; it has none`,
    'spec.steps.1.branch.cases.0.steps.0.id: is used twice: a',
    'spec.steps.1.branch.cases.0.steps.1.needs.1: names no step above this one in the same list: c',
    'spec.steps.1.branch.else.0.needs.0: names no step above this one in the same list: b',
  ]);
});

test('the draft of a flow is that of an infer step that runs once at most', () => {
  const ask = (id: string) => ({ id, infer: { model: 'm', instructions: 'Judge.', output: {} } });
  const steps = [
    ask('one'),
    route('way', [ask('two')]),
    { id: 'each', forEach: { items: 'event.data.items', as: 'item', steps: [ask('many')] } },
    { ...mapStep('last'), onError: { steps: [ask('instead')] } },
  ];
  const onFailure = { steps: [ask('afterwards')] };
  const withDraft = (draft: string) => {
    const { spec, ...rest } = flow(steps);
    return problems({ ...rest, spec: { ...spec, onFailure, onRequest: { default: 1, draft } } });
  };
  for (const draft of ['one', 'two', 'instead']) expect(withDraft(draft)).toEqual([]);
  for (const draft of ['many', 'last', 'afterwards', 'nothing'])
    expect(withDraft(draft)).toEqual([
      `spec.onRequest.draft: names no \`infer\` step among \`steps\` that is outside of each \`forEach\`: ${draft}; there is one, two, instead`,
    ]);
});

test('steps are nested 5 levels deep at most, and are 200 at most in all', () => {
  const nested = (levels: number): object => (levels === 1 ? mapStep('in') : route(`r${levels}`, [nested(levels - 1)]));
  expect(problems(flow([nested(5)]))).toEqual([]);
  const path = Array(5).fill('branch.cases.0.steps').join('.0.');
  expect(problems(flow([nested(6)]))).toEqual([`spec.steps.0.${path}: is a list of steps at level 6; 5 levels are the most`]);
  const many = (lists: number) =>
    flow(
      Array.from({ length: lists }, (_, list) =>
        route(
          `r${list}`,
          Array.from({ length: 49 }, (__, at) => mapStep(`s${list}-${at}`)),
        ),
      ),
    );
  expect(problems(many(4))).toEqual([]);
  expect(problems(many(5))).toEqual(['spec.steps: has 250 steps, those within others included; 200 are the most']);
  expect(
    problems(
      flow([
        route(
          'r',
          Array.from({ length: 51 }, (_, at) => mapStep(`s${at}`)),
        ),
      ]),
    ),
  ).toHaveLength(1);
});

test('an unknown field is refused by name', () => {
  expect(problems(source({ scheme: 'stripe', secrets: [{ value: 'x' }], secretz: 1 }))).toEqual(['spec: Unrecognized key: "secretz"']);
});

test('a destination cannot set the headers that carry the message, nor break out of one', () => {
  expect(problems(destination({ authorization: 'Bearer x' }))).toEqual([]);
  expect(problems(destination({ 'Webhook-Id': 'x' }))).toHaveLength(1);
  expect(problems(destination({ host: 'internal' }))).toHaveLength(1);
  expect(problems(destination({ 'x-a': 'b\r\nc: d' }))).toEqual(['spec.headers.x-a: must be visible ASCII characters']);
});

/** The lists in a JSON Schema that can have any number of items, by their paths. */
function listsWithoutBound(schema: unknown, path = ''): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, maxItems } = schema as { type?: unknown; maxItems?: number };
  const own = type === 'array' && maxItems === undefined ? [path] : [];
  return [...own, ...Object.entries(schema).flatMap(([key, inner]) => listsWithoutBound(inner, `${path}/${key}`))];
}

/** Items are checked and compiled when a document is applied, and some are compared with each event. */
test('every list of a document has a bound, and so have headers', () => {
  expect(listsWithoutBound({ properties: { a: { type: 'array' }, b: { type: 'array', maxItems: 1 } } })).toEqual(['/properties/a']);
  expect(listsWithoutBound(z.toJSONSchema(document, { io: 'input' }))).toEqual([]);
  const headers = Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`x-${at}`, 'y']));
  expect(problems(destination(headers))).toEqual(['spec.headers: must have at most 50 entries']);
});

test('the kinds that can hold a secret are those with a field marked as one', () => {
  expect(documentKinds.filter(canHoldSecrets)).toEqual(['Connection', 'Destination', 'ModelProvider', 'Source']);
});

test('a word in braces that is no term of a template is refused', () => {
  const signed = (template: string) =>
    problems(source({ scheme: 'custom', custom: { header: 'x-sig', template }, secrets: [{ value: 'x' }] }));
  expect(signed('{nope}{body}{header.}')).toEqual([
    'spec.custom.template: contains {nope} and {header.}, which stands for nothing; the terms are {body}, {form}, {crc32}, {timestamp}, {id}, {method}, {url}, {decodedUrl}, {header.NAME}, {query.NAME} and {parameter.NAME}',
  ]);
  expect(signed('{"a":"{header.x-date}","b":"{query.v}","c":"{method}{body}"}')).toEqual([]);
});
