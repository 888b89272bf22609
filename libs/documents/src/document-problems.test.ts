import { describe, expect, test } from 'vitest';
import { documentKinds, referencesOf } from '#libs/contracts';
import { doubtsAbout, readDocument, uncompilable, unknownReferences } from './document-problems.js';

const signing = `whsec_${Buffer.alloc(24).toString('base64')}`;
const head = { apiVersion: 'millrace/v1', metadata: { tenant: 'acme', name: 'x' } };
const flow = (steps: object[], rest: object = {}) => ({ ...head, kind: 'Flow', spec: { steps, ...rest } });
const destinationWith = (more: object) => ({
  ...head,
  kind: 'Destination',
  spec: { kind: 'http', url: 'https://example.com/in', secret: { value: signing }, ...more },
});
/** Names that differ from the keyword by one character. */
const wordsLike = (keyword: string): object =>
  Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [keyword + String.fromCodePoint(0x4e00 + at), 1]));
const lines = (problems: { path: string[]; message: string }[]) => problems.map(({ path, message }) => `${path.join('.')}: ${message}`);

async function problemsOf(input: unknown): Promise<string[]> {
  const read = readDocument(input);
  return lines('problems' in read ? read.problems : await uncompilable(read.document));
}

test('what does not fit the schema is named by its place', async () => {
  expect(await problemsOf({ ...head, kind: 'Flo', spec: {} })).toEqual([
    `kind: must be one of ${documentKinds.join(', ')}; did you mean Flow?`,
  ]);
  expect(await problemsOf({ ...head, kind: 'Source', spec: { scheme: 'stripe', secrets: [{ valu: 'x' }], customr: 'a' } })).toEqual([
    'spec.secrets.0.value: is missing',
    'spec.secrets.0.valu: is not a field that belongs here; did you mean value?',
    'spec.customr: is not a field that belongs here; did you mean customer?',
  ]);
});

/** Documents of about a megabyte, of which each part is wrong. */
const wrongThroughout: [string, object][] = [
  ['fields', { ...head, kind: 'Flow', spec: Object.fromEntries(Array.from({ length: 90_000 }, (_, at) => [`f${at}`, 1])) }],
  ['headers', destinationWith({ headers: Object.fromEntries(Array.from({ length: 90_000 }, (_, at) => [`h${at}`, 1])) })],
  ['patterns of types', flow([{ id: 'a', map: { expression: '1' } }], { on: { types: Array(200_000).fill(1) } })],
  ['rules', flow([{ id: 'a', validate: { input: 'event', rules: Array.from({ length: 90_000 }, () => ({ check: '1 +' })) } }])],
  ['words of a schema', flow([{ id: 'a', validate: { input: 'event', schema: wordsLike('minimum') } }])],
];

test.each(wrongThroughout)('of many wrong %s some are told', async (_, input) => {
  const problems = await problemsOf(input);
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.length).toBeLessThanOrEqual(101);
});

test('of more than a hundred problems the rest is counted', async () => {
  const wrong = { ...head, kind: 'Flow', spec: Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`f${at}`, 1])) };
  expect((await problemsOf(wrong)).at(-1)).toBe(': has 51 more problems');
});

test('a value of the wrong kind or size is told what it must be', async () => {
  const infer = { model: 'm', instructions: '', output: 'text', timeoutMs: 'soon' };
  expect((await problemsOf({ ...flow([{ id: 'a', infer }]), apiVersion: 'millrace/v2' })).toSorted()).toEqual([
    'apiVersion: must be millrace/v1',
    'spec.steps.0.infer.instructions: must not be empty',
    'spec.steps.0.infer.output: must be an object',
    'spec.steps.0.infer.timeoutMs: must be a number',
  ]);
  const spec = { kind: 'http', url: 'https://a.example', secret: { value: signing }, timeoutMs: 60_001 };
  expect(await problemsOf({ ...head, kind: 'Destination', spec })).toEqual(['spec.timeoutMs: must be at most 60000']);
  expect(await problemsOf('text')).toEqual([': must be an object']);
});

test('expressions are compiled wherever they stand', async () => {
  const steps = [
    { id: 'a', when: 'event.', map: { expression: '$(' } },
    { id: 'b', validate: { input: 'steps.a', rules: [{ check: ')', message: 'no' }] } },
  ];
  const found = await problemsOf(flow(steps, { decision: '{' }));
  expect(found.map((line) => line.split(':')[0])).toEqual([
    'spec.steps.0.when',
    'spec.steps.0.map.expression',
    'spec.steps.1.validate.rules.0.check',
    'spec.decision',
  ]);
});

test('JSON Schemas are compiled', async () => {
  const infer = { model: 'm', instructions: 'i', output: { type: 'objekt' } };
  expect(await problemsOf(flow([{ id: 'a', infer }]))).toEqual([
    expect.stringMatching(/^spec\.steps\.0\.infer\.output: is not a usable JSON Schema: /),
  ]);
});

test('what is wrong within a JSON Schema is told by its path, with the values that are allowed', async () => {
  const types = '["array","boolean","integer","null","number","object","string"]';
  for (const [output, reason] of [
    [{ type: 'objekt' }, `type must be one of ${types}, or must be array`],
    [{ properties: { 'a/b': { type: 'strin' } } }, `properties.a/b.type must be one of ${types}, or must be array`],
    [{ required: 'name' }, 'required must be array'],
    [{ $schema: 'http://json-schema.org/draft-07/schema', minLength: -1 }, 'minLength must be >= 0'],
  ] as const) {
    expect(await problemsOf(flow([{ id: 'a', infer: { model: 'm', instructions: 'i', output } }]))).toEqual([
      `spec.steps.0.infer.output: is not a usable JSON Schema: ${reason}`,
    ]);
  }
});

test('a header that cannot be set is told why', async () => {
  const headers = { host: 'x', 'Content-Length': '1', 'bad header': 'x', 'x-good': 'x' };
  const own = 'is a header that Millrace sets itself, or that belongs to the connection: leave it out';
  expect(await problemsOf(destinationWith({ headers }))).toEqual([
    `spec.headers.host: ${own}`,
    `spec.headers.Content-Length: ${own}`,
    'spec.headers.bad header: is no name for a header: it must be letters, digits and dashes',
  ]);
});

test('of several bounds that a number exceeds, the narrowest is told', async () => {
  const limits = { limit: { concurrency: 1e99, perSecond: 1e99 }, timeoutMs: -1e99 };
  expect((await problemsOf(destinationWith(limits))).map((line) => line.split(':')[0])).toEqual([
    'spec.timeoutMs',
    'spec.limit.concurrency',
    'spec.limit.perSecond',
  ]);
});

test('a secret that its scheme cannot use is refused without being repeated', async () => {
  const spec = { kind: 'http', url: 'https://a.example/hook', secret: { value: 'whsec_!!' } };
  expect(await problemsOf({ ...head, kind: 'Destination', spec })).toEqual(['spec.secret: the secret is not whsec_ followed by base64']);
});

test.each(['hello', 'whsec_aGVsbG8=', `whsec_${Buffer.alloc(23).toString('base64')}`])(
  'a signing secret that can be guessed is refused with the remedy: %s',
  async (value) => {
    const spec = { kind: 'http', url: 'https://a.example/hook', secret: { value } };
    expect(await problemsOf({ ...head, kind: 'Destination', spec })).toEqual([
      'spec.secret: the secret is not long enough: it must be whsec_ and base64 of at least 24 bytes, such as from: echo "whsec_$(openssl rand -base64 32)"',
    ]);
  },
);

test('an address and headers are told what they must be, in either form and without being repeated', async () => {
  const problems = (more: object) =>
    problemsOf({ ...head, kind: 'Destination', spec: { kind: 'http', url: 'https://a.example', secret: { value: signing }, ...more } });
  expect(await problems({ url: 'ftp://a.example' })).toEqual(['spec.url: must be an http or https address']);
  expect(await problems({ url: { value: 'ftp://a.example' } })).toEqual(['spec.url: is a secret of a form that does not belong here']);
  expect(await problems({ headers: { 'x-key': { value: 'a\nb' } } })).toEqual([
    'spec.headers.x-key: is a secret of a form that does not belong here',
  ]);
  expect(await problems({ headers: { 'x-key': 'a\nb' } })).toEqual(['spec.headers.x-key: must be visible ASCII characters']);
  expect(await problems({ url: 'https://user:hunter2@a.example' })).toEqual([
    'spec.url: must not contain a user or password: they are not sent; write the header authorization: { value: Basic … }',
  ]);
});

test('a custom scheme is told which kinds there are, and that it needs the URL which it signs', async () => {
  const source = (custom: object, more: object = {}) => ({
    ...head,
    kind: 'Source',
    spec: { scheme: 'custom', custom, secrets: [{ value: 'old' }, { value: 'new' }], ...more },
  });
  expect(await problemsOf(source({ kind: 'jwt' }))).toEqual([
    'spec.custom.kind: must be one of asymmetric, basic, certificate, client-certificate, fields, hmac, none, token',
  ]);
  const signsUrl = { header: 'x-sig', template: '{url}{body}' };
  expect(await problemsOf(source(signsUrl))).toEqual([
    'spec.publicUrl: the scheme signs the URL, so set the address that the provider calls',
  ]);
  expect(await problemsOf(source(signsUrl, { publicUrl: 'https://hooks.example.com/webhooks/acme.shop' }))).toEqual([]);
  expect(await problemsOf(source({ kind: 'basic' }))).toEqual([
    'spec.secrets.0: the secret is not user:password',
    'spec.secrets.1: the secret is not user:password',
  ]);
});

test('a preset is told the parameters that it lacks, and those that it does not have', async () => {
  const source = (scheme: string, parameters?: object) => ({
    ...head,
    kind: 'Source',
    spec: { scheme, secrets: [{ value: 'a secret of the app' }], parameters },
  });
  expect(await problemsOf(source('meta'))).toEqual([
    'spec.parameters.verifyToken: is missing: the verify token that you choose and enter beside the address in the app’s dashboard',
  ]);
  expect(await problemsOf(source('meta', { verifyToken: { value: 'a token' } }))).toEqual([]);
  expect(await problemsOf(source('meta', { verifyToken: 'a', webhookId: 'b' }))).toEqual([
    'spec.parameters.webhookId: is no parameter: meta has verifyToken',
  ]);
  expect(await problemsOf(source('github', { verifyToken: 'a' }))).toEqual([
    'spec.parameters.verifyToken: is no parameter: github has none',
  ]);
  const custom = { header: 'x-sig', template: '{parameter.webhookId}{body}' };
  const own = { ...head, kind: 'Source', spec: { scheme: 'custom', custom, secrets: [{ value: 'a' }, { value: 'b' }] } };
  expect(await problemsOf(own)).toEqual(['spec.parameters.webhookId: is missing; requests of this provider are verified with it']);
});

test('a flow names its sources and destinations', async () => {
  const read = readDocument(flow([{ id: 'tell', deliver: { destination: 'crm' } }], { on: { sources: ['stripe'] } }));
  expect('document' in read && referencesOf(read.document)).toEqual([
    { kinds: ['Source', 'Schedule', 'Pull'], name: 'stripe', path: ['spec', 'on', 'sources', '0'] },
    { kinds: ['Destination'], name: 'crm', path: ['spec', 'steps', '0', 'deliver', 'destination'] },
  ]);
});

test('what is sealed is left to the installation that sealed it', async () => {
  const sealed = { sealed: 'v2.a.b', fingerprint: 'f' };
  expect(await problemsOf({ ...head, kind: 'Destination', spec: { kind: 'http', url: sealed, secret: sealed } })).toEqual([]);
  expect(await problemsOf({ ...head, kind: 'Source', spec: { scheme: 'stripe', secrets: [sealed], publicUrl: sealed } })).toEqual([]);
});

test('a name that has no value is refused, with what was perhaps meant', async () => {
  const steps = [
    { id: 'assess', map: { expression: 'event.data' } },
    { id: 'other', needs: [], map: { expression: 'steps.assess.topic' } },
    { id: 'check', validate: { input: 'steps.nope', rules: [{ check: 'value.a = $x and steps.later', message: 'no' }] } },
    { id: 'later', when: 'evnt.type = "a"', deliver: { destination: 'crm', payload: '$uppercas(event.tpye)' } },
  ];
  expect(await problemsOf(flow(steps, { decision: 'steps.asess.topic', on: { when: 'steps.assess' } }))).toEqual([
    'spec.on.when: reads steps, but there is only event',
    'spec.steps.1.map.expression: reads steps.assess, but assess may not have ended by then: this step must stand below assess and have it in its `needs`',
    'spec.steps.2.validate.input: reads steps.nope, which is no step of this flow',
    'spec.steps.2.validate.rules.0.check: uses $x, which nothing defines',
    'spec.steps.2.validate.rules.0.check: reads steps.later, but later may not have ended by then: this step must stand below later and have it in its `needs`',
    'spec.steps.3.when: reads evnt, but there is only event and steps; did you mean event?',
    'spec.steps.3.deliver.payload: uses $uppercas, which nothing defines; did you mean $uppercase?',
    'spec.steps.3.deliver.payload: reads event.tpye, but event has only id, type, source, customer, occurredAt, receivedAt, test, schemaProblem, data; did you mean type?',
    'spec.decision: reads steps.asess, which is no step of this flow; did you mean assess?',
  ]);
  const source = { ...head, kind: 'Source', spec: { scheme: 'api-key', customer: 'boddy.id', type: 'headers."x-type"' } };
  expect(await problemsOf(source)).toEqual(['spec.customer: reads boddy, but there is only body and headers; did you mean body?']);
});

describe('the checks of an infer step', () => {
  const output = {
    type: 'object',
    properties: {
      total: { type: 'number' },
      reasons: { type: 'array', items: { type: 'object', properties: { quote: { type: 'string' } } } },
    },
  };
  const infer = (more: object): object => flow([{ id: 'a', infer: { model: 'm', instructions: 'Judge.', output, ...more } }]);
  const rule = (name: string, check: string): object => ({ name, check, message: 'no' });

  test('may read the output, the input and whatever the step sees', async () => {
    const rules = [rule('one', 'value.total = input.total'), rule('two', '$sum(value.reasons.score) < $number(event.data.most)')];
    const grounded = [
      { field: 'total', as: 'number' },
      { field: 'reasons.*.quote', as: 'quote', in: 'event.data.message' },
    ];
    expect(await problemsOf(infer({ rules, grounded, markup: 'none' }))).toEqual([]);
  });

  test.each([
    [
      { rules: [rule('one', 'valu.total > 0')] },
      'rules.0.check: reads valu, but there is only event and steps and value and input; did you mean value?',
    ],
    [{ rules: [rule('one', '1 +')] }, expect.stringMatching(/^rules\.0\.check: /)],
    [{ rules: [rule('one', '1 = 1'), rule('one', '1 = 1')] }, 'rules: has two rules of one name'],
    [
      { grounded: [{ field: 'reasons.*.quot', as: 'quote' }] },
      'grounded.0.field: names no field of the output: reasons.*.quot; did you mean reasons.*.quote? (in `output`, reasons.* has quote)',
    ],
    [
      { grounded: [{ field: 'sum', as: 'number' }] },
      'grounded.0.field: names no field of the output: sum (in `output`, it has total, reasons)',
    ],
    [
      { grounded: [{ field: 'total.x', as: 'number' }] },
      'grounded.0.field: names no field of the output: total.x (in `output`, total has nothing within it)',
    ],
    [
      { grounded: [{ field: 'reasons', as: 'quote' }] },
      'grounded.0.field: holds no text and no number, but array; name its items: reasons.*',
    ],
    [
      { grounded: [{ field: 'reasons.*', as: 'quote' }] },
      'grounded.0.field: holds no text and no number, but object; name a field within it',
    ],
    [
      { grounded: [{ field: 'a..b', as: 'quote' }] },
      'grounded.0.field: must be names of properties with dots between them, and * for each item of a list',
    ],
    [{ grounded: [{ field: 'total', as: 'sum' }] }, 'grounded.0.as: must be one of quote, id, number'],
    [{ markup: 'some' }, 'markup: must be one of fromInput, none, any'],
  ])('are refused when they cannot be made: %j', async (more, problem) => {
    const problems = (await problemsOf(infer(more))).map((line) => line.replace('spec.steps.0.infer.', ''));
    expect(problems).toEqual([problem]);
  });
});

test('a default of a review that nobody could choose is refused where it is written out', async () => {
  const schema = { type: 'object', properties: { amount: { type: 'number', minimum: 0 } } };
  const asking = (more: object): object => flow([{ id: 'a', review: { proposal: 'event.data', expiresAfter: 'P1D', ...more } }]);
  const problem = 'spec.steps.0.review.default: does not fit the schema of the review: /amount must be >= 0';
  expect(await problemsOf(asking({ schema, default: '{ "amount": -1 }' }))).toEqual([problem]);
  expect(await problemsOf(asking({ schema, default: '{ "amount": event.data.amount }' }))).toEqual([]);
  expect(await problemsOf(asking({ schema }))).toEqual([]);
  const infer = { id: 'm', infer: { model: 'm', instructions: 'i', output: schema } };
  const asked = { id: 'a', review: { proposal: 'steps.m', schemaOf: 'm', expiresAfter: 'P1D', default: '{ "amount": -1 }' } };
  expect(await problemsOf(flow([infer, asked]))).toEqual([problem.replace('steps.0', 'steps.1')]);
});

test('a misspelt keyword of a JSON Schema is refused; a word of another program is not', async () => {
  const output = { type: 'object', properties: { n: { type: 'number', minumum: 1, nullable: true } }, 'x-order': 1 };
  expect(await problemsOf(flow([{ id: 'a', infer: { model: 'm', instructions: 'i', output } }]))).toEqual([
    'spec.steps.0.infer.output.properties.n.minumum: is no keyword of JSON Schema, so it checks nothing; did you mean minimum?',
  ]);
});

test('what is allowed and perhaps a mistake is a doubt: a word that is no keyword, a secret that can be guessed, a missing key', async () => {
  const output = { type: 'object', properties: { n: { type: 'number', minimum: 1, nullable: true } }, 'x-order': 1 };
  const source = { ...head, kind: 'Source', spec: { scheme: 'github', secrets: [{ value: '12345' }, { value: 'x'.repeat(16) }] } };
  const doubts = (given: object): string[] => {
    const read = readDocument(given);
    return 'problems' in read
      ? ['it has problems']
      : doubtsAbout(read.document).map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  expect(doubts(flow([{ id: 'a', infer: { model: 'm', instructions: 'i', output } }]))).toEqual([
    'spec.steps.0.infer.output.properties.n.nullable: is no keyword of JSON Schema, so it checks nothing',
  ]);
  expect(doubts(source)).toEqual(['spec.secrets.0: has fewer than 16 characters: whoever guesses it can send events']);
  const provider = (spec: object): object => ({ ...head, kind: 'ModelProvider', spec });
  expect(doubts(provider({ service: 'azure-openai', baseUrl: 'https://x.openai.azure.com/openai/v1' }))).toEqual([
    'spec.apiKey: is missing: Azure OpenAI refuses calls without a key',
  ]);
  const header = { 'api-key': { value: 'x'.repeat(32) } };
  const usable = [
    { service: 'openai', apiKey: { value: 'sk-1' } },
    { service: 'openai', headers: header },
    { service: 'ollama', baseUrl: 'http://ollama:11434/v1' },
  ];
  expect(usable.flatMap((spec) => doubts(provider(spec)))).toEqual([]);
});

describe('a schedule', () => {
  const schedule = (spec: object): object => ({ ...head, kind: 'Schedule', spec: { timeZone: 'UTC', event: { type: 'due' }, ...spec } });

  test.each([
    [{ cron: '0 0 30 2 *' }, 'spec.cron: never comes: no date fits 0 0 30 2 *; change its day or month'],
    [{ cron: '0 0 * * *', timeZone: 'Mars/Olympus' }, expect.stringMatching(/^spec\.timeZone: is no time zone of the IANA database/)],
    [{ cron: '0 0 * * *', startsAt: '2026-02-01T00:00:00Z', endsAt: '2026-01-01T00:00:00Z' }, 'spec.endsAt: must be after startsAt'],
    [
      { cron: '0 0 * * *', event: { type: 'due', customer: '-/other' } },
      expect.stringMatching(/^spec\.event\.customer: must not be - or begin with/),
    ],
    [
      { cron: '0 0 * * *', event: { type: 'due', data: 'x'.repeat(65_536) } },
      'spec.event.data: must have at most 65536 characters as JSON',
    ],
    [{ cron: '0 0 * * *', catchUp: 'some' }, 'spec.catchUp: must be one of none, latest, all'],
  ])('that cannot work is refused with its field: %j', async (spec, problem) => {
    expect(await problemsOf(schedule(spec))).toEqual([problem]);
  });

  test('that is over is a warning, because its file stays where it is', () => {
    const read = readDocument(schedule({ cron: '0 0 * * *', endsAt: '2020-01-01T00:00:00Z' }));
    expect('document' in read && doubtsAbout(read.document)).toEqual([{ path: ['spec', 'endsAt'], message: 'is over: no tick is left' }]);
  });
});

const map = (id: string, expression: string, more: object = {}) => ({ id, map: { expression }, ...more });

test('a step within a branch sees what its branch sees and the steps above it, and nobody outside sees it', async () => {
  const route = {
    id: 'route',
    needs: ['a'],
    branch: {
      cases: [
        {
          when: 'steps.a and steps.b',
          steps: [map('one', 'steps.a'), map('two', 'steps.one and steps.a'), map('three', '1', { needs: [] })],
        },
      ],
      else: [map('four', 'steps.one'), map('five', 'steps.b'), map('six', 'steps.fuor'), map('seven', 'steps.route and steps.seven')],
    },
  };
  const steps = [map('a', '1'), map('b', '1'), route, map('last', 'steps.route and steps.two')];
  const found = await problemsOf(flow(steps, { decision: 'steps.four' }));
  const within = 'spec.steps.2.branch';
  expect(found).toEqual([
    `${within}.cases.0.when: reads steps.b, but b may not have ended by then: this step must stand below b and have it in its \`needs\``,
    `${within}.else.0.map.expression: reads steps.one, which is a step within route: only the steps below it in its list see its output; read steps.route`,
    `${within}.else.1.map.expression: reads steps.b, but b may not have ended by then: the step route must stand below b and have it in its \`needs\``,
    `${within}.else.2.map.expression: reads steps.fuor, which is no step of this flow; did you mean four?`,
    `${within}.else.3.map.expression: reads steps.route, which has no output before it ends`,
    `${within}.else.3.map.expression: reads steps.seven, which has no output before it ends`,
    'spec.steps.3.map.expression: reads steps.two, which is a step within route: only the steps below it in its list see its output; read steps.route',
    'spec.decision: reads steps.four, which is a step within route: only the steps below it in its list see its output; read steps.route',
  ]);
});

test('the steps of onFailure see the error and the steps of the flow, are no steps of it, and have ids of their own', async () => {
  const after = [map('tell', 'error.code & steps.one & steps.tell'), map('last', 'steps.tell & steps.two & error.cod'), map('one', '1')];
  const spec = { steps: [map('one', 'steps.last'), map('two', 'error')], onFailure: { steps: after }, decision: 'steps.tell' };
  expect(await problemsOf({ ...flow([]), spec })).toEqual(['spec.onFailure.steps.2.id: is used twice: one']);
  const mended = { ...spec, onFailure: { steps: after.slice(0, 2) } };
  expect(await problemsOf({ ...flow([]), spec: mended })).toEqual([
    'spec.steps.0.map.expression: reads steps.last, which has an output only where a run is given up: it is a step of onFailure',
    'spec.steps.1.map.expression: reads error, but there is only event and steps',
    'spec.onFailure.steps.0.map.expression: reads steps.tell, which has no output before it ends',
    'spec.onFailure.steps.1.map.expression: reads error.cod, but error has only code, message; did you mean code?',
    'spec.decision: reads steps.tell, which has an output only where a run is given up: it is a step of onFailure',
  ]);
});

test('onFailure is a policy, or has one with steps', async () => {
  const of = async (onFailure: unknown) => problemsOf(flow([map('one', '1')], { onFailure }));
  for (const known of ['skip', { steps: [map('two', '1')] }]) expect(await of(known)).toEqual([]);
  expect(await of('stop')).toEqual(['spec.onFailure: must be one of park-key, skip']);
  expect(await of({ policy: 'stop', steps: [] })).toEqual([
    'spec.onFailure.policy: must be one of park-key, skip',
    'spec.onFailure.steps: must not be empty',
  ]);
  expect(await of({ policy: 'skip' })).toEqual(['spec.onFailure.steps: is missing']);
});

test('the expressions of items see the item, and those of a fallback the error', async () => {
  const each = {
    id: 'each',
    forEach: { items: 'event.data.lines', as: 'line', key: 'line.sku and item', steps: [map('one', 'line.n & error.code & steps.each')] },
    onError: { steps: [map('two', 'error.cod'), map('three', 'error.code & error.message & steps.two & line')] },
  };
  expect(await problemsOf(flow([each, map('four', '1', { onError: { value: 'eror.code' } })]))).toEqual([
    'spec.steps.0.onError.steps.0.map.expression: reads error.cod, but error has only code, message, output; did you mean code?',
    'spec.steps.0.onError.steps.1.map.expression: reads line, but there is only event and steps and error',
    'spec.steps.0.forEach.key: reads item, but there is only event and steps and line',
    'spec.steps.0.forEach.steps.0.map.expression: reads error, but there is only event and steps and line',
    'spec.steps.0.forEach.steps.0.map.expression: reads steps.each, which has no output before it ends',
    'spec.steps.1.onError.value: reads eror, but there is only event and steps and error; did you mean error?',
  ]);
  const nested = { id: 'in', forEach: { items: 'line', as: 'line', steps: [map('five', '1')] } };
  const around = { id: 'out', forEach: { items: '1', as: 'line', steps: [nested] } };
  expect(
    await problemsOf(flow([around, map('a', '1', { onError: {} }), map('b', '1', { onError: { value: '1', steps: [map('c', '1')] } })])),
  ).toEqual([
    'spec.steps.1.onError: must have retry, value or steps',
    'spec.steps.2.onError.value: must not be given with `steps`: one of both is the fallback',
    'spec.steps.0.forEach.steps.0.forEach.as: names the items around the step already: line; give these another name',
  ]);
  expect(
    await problemsOf(flow([{ id: 'x', forEach: { items: '1', as: 'event', steps: [map('y', '1')], concurrency: 17, max: 1001 } }])),
  ).toEqual([
    'spec.steps.0.forEach.as: must not be one of event, steps, value, error, which expressions know already',
    'spec.steps.0.forEach.concurrency: must be at most 16',
    'spec.steps.0.forEach.max: must be at most 1000',
  ]);
});

test('a reference to what is not there names its kind in words, and the nearest name', () => {
  const spec = {
    candidates: [
      { provider: 'firts', model: 'm' },
      { provider: 'second', model: 'm' },
      { provider: 'other', model: 'm' },
    ],
  };
  const read = readDocument({ apiVersion: 'millrace/v1', kind: 'ModelRoute', metadata: { tenant: 'acme', name: 'triage' }, spec });
  if ('problems' in read) throw new Error(JSON.stringify(read.problems));
  const known = [
    { kind: 'ModelProvider', name: 'first' },
    { kind: 'ModelProvider', name: 'second' },
    { kind: 'Destination', name: 'other' },
  ] as const;
  expect(unknownReferences(referencesOf(read.document), known)).toEqual([
    {
      path: ['spec', 'candidates', '0', 'provider'],
      message: 'names no model provider of this tenant: firts; did you mean first?',
    },
    { path: ['spec', 'candidates', '2', 'provider'], message: 'names no model provider of this tenant: other' },
  ]);
});

test('a time that is of another type is told with both of the forms that it may have', async () => {
  const steps = [{ id: 'ask', review: { proposal: 'event.data', expiresAfter: true, neded: 'true' } }];
  expect(await problemsOf(flow(steps))).toEqual([
    'spec.steps.0.review.expiresAfter: must be a number of ms, or a duration such as PT15M, P2DT12H or P1W; months and years have no fixed length',
    'spec.steps.0.review.neded: is not a field that belongs here; did you mean needed?',
  ]);
});

test('a step that is needed and does not stand above is told with the one of a similar name', async () => {
  const steps = [
    { id: 'assess', map: { expression: '1' } },
    { id: 'act', needs: ['asess'], map: { expression: '1' } },
  ];
  expect(await problemsOf(flow(steps))).toEqual(['spec.steps.1.needs.0: names no step above this one: asess; did you mean assess?']);
});
