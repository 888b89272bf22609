import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import './flows-test.command.js'; // loaded once, outside of the time of a test
import { modelFailures, operationFailures } from './flow-tests/flow-test.js';
import { runInTest } from './run-in-test.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-flows-'));
  write('flow.yaml', flow);
});
afterEach(() => rmSync(directory, { recursive: true }));

const flow = `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec:
  on: { types: [ticket.*], when: event.data.message != "" }
  steps:
    - id: assess
      infer:
        model: any-model
        instructions: Say how urgent it is.
        output: { type: object, required: [urgency], properties: { urgency: { type: number, maximum: 1 } } }
    - id: check
      validate: { input: steps.assess, rules: [{ check: value.urgency >= 0, message: urgency is a share }] }
    - id: action
      map: { expression: '{ "urgent": steps.assess.urgency > 0.6, "amount": event.data.amount }' }
    - id: tell
      when: steps.action.urgent
      deliver: { destination: crm }
`;
const aTest = (more: string): string => `flow: flow.yaml
cases:
  - name: angry
    event: { type: ticket.created, data: { message: hello } }
    ${more}
`;
const answered = 'answers: { assess: { output: { urgency: 0.9 } } }';

function write(name: string, text: string): string {
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

const flows = (...args: string[]) => runInTest(['flows', 'test', ...args], { directory });
const testing = (more: string) => flows(write('tests.yaml', aTest(more)));

test('a case that is as expected is a line, and ends well', async () => {
  const expected = 'expect: { decision: { urgent: true }, steps: { check: { urgency: 0.9 } }, deliveries: [{ destination: crm }] }';
  expect(await testing(`${answered}\n    ${expected}`)).toEqual({ code: 0, out: '✓ triage: angry', notes: '1 case passed.' });
});

test('what is not as expected is named, below the steps with their inputs and outputs', async () => {
  const { code, out, notes } = await testing(`${answered}\n    expect: { decision: { urgent: false, more: 1 }, deliveries: [] }`);
  expect([code, notes]).toEqual([1, '1 of 1 case failed.']);
  expect(out.split('\n')).toEqual([
    'triage: angry',
    '  assess (infer) succeeded',
    '    in   {"message":"hello"}',
    '    out  {"urgency":0.9}',
    '  check (validate) succeeded',
    '    out  {"urgency":0.9}',
    '  action (map) succeeded',
    '    out  {"urgent":true}',
    '  tell (deliver) succeeded',
    '    out  {"destination":"crm"}',
    '  decision  {"urgent":true}',
    expect.stringMatching(/^ {2}delivers to crm {2}\{"eventId":"evt_/),
    '  ✗ decision.urgent: expected false, found true',
    '  ✗ decision.more: expected 1, found nothing',
    '  ✗ deliveries.length: expected 0, found 1',
  ]);
});

test('a step that is skipped has no output, and plans nothing', async () => {
  const low = 'answers: { assess: { output: { urgency: 0.1 } } }';
  expect((await testing(`${low}\n    expect: { steps: { tell: null }, deliveries: [] }`)).code).toBe(0);
});

describe('a person', () => {
  const reviewed = flow.replace(
    '    - id: action\n',
    `    - id: seen
      review: { proposal: steps.check, schemaOf: assess, default: '{ "urgency": 0 }', expiresAfter: P1D }
    - id: action
`,
  );
  const decided = (decision: string, urgency: number) =>
    testing(
      `answers: { assess: { output: { urgency: 0.9 } }${decision} }\n    expect: { steps: { seen: { value: { urgency: ${urgency} } } } }`,
    );
  beforeEach(() => void write('flow.yaml', reviewed));

  test('decides as the test says, and without a word nobody decides in time', async () => {
    expect(await decided('', 0)).toMatchObject({ code: 0 });
    expect(await decided(', seen: { review: approved }', 0.9)).toMatchObject({ code: 0 });
    expect(await decided(', seen: { review: rejected }', 0)).toMatchObject({ code: 0 });
    expect(await decided(', seen: { output: { urgency: 0.4 } }', 0.4)).toMatchObject({ code: 0 });
  });

  test('cannot choose what the review does not allow', async () => {
    const unfit = 'answers.seen does not fit the schema of the review: /urgency must be <= 1';
    const wrong = 'The step seen asks a person: answers.seen is { review: approved }';
    const noPerson = 'The step assess asks no person: answers.assess needs `output` or `text`';
    expect(await decided(', seen: { output: { urgency: 4 } }', 4)).toMatchObject({
      code: 2,
      out: expect.stringContaining(unfit) as string,
    });
    expect(await decided(', seen: { text: yes }', 4)).toMatchObject({ code: 2, out: expect.stringContaining(wrong) as string });
    const told = await testing('answers: { assess: { review: approved } }');
    expect(told).toMatchObject({ code: 2, out: expect.stringContaining(noPerson) as string });
  });
});

describe('what the outside answers', () => {
  test('goes through the checks of a real answer, with repairs', async () => {
    const twice = 'answers: { assess: [{ text: "Well…" }, { output: { urgency: 0.7 } }] }';
    expect((await testing(`${twice}\n    expect: { decision: { urgent: true } }`)).code).toBe(0);
    const never = 'answers: { assess: { output: { urgency: 7 } } }';
    expect((await testing(`${never}\n    expect: { fails: model.invalidOutput }`)).code).toBe(0);
  });

  test.each(modelFailures)('can be a failure of a model: %s', async (code) => {
    expect((await testing(`answers: { assess: { fails: ${code} } }\n    expect: { fails: ${code} }`)).code).toBe(0);
  });

  test('has to be written down where there is no model to ask', async () => {
    const { code, out, notes } = await testing('expect: { runs: true }');
    expect([code, notes]).toEqual([2, '1 of 1 case could not be tested.']);
    expect(out).toMatch(
      /^✗ triage: angry\n {2}could not be tested: .*tests\.yaml:3:5 The step assess asks the model any-model: write its answer down \(answers\.assess\), or give --model-url the address of its API$/,
    );
  });

  test('can differ between the same step of two items, by its path', async () => {
    write(
      'flow.yaml',
      `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec:
  steps:
    - id: lines
      forEach:
        items: '["a", "b"]'
        as: line
        steps:
          - id: assess
            infer: { model: any-model, instructions: Say it., input: line, output: { type: number } }
`,
    );
    const each = 'answers: { lines/0/assess: { output: 1 }, lines/1/assess: { output: 2 } }';
    expect(await testing(`${each}\n    expect: { decision: [1, 2], steps: { lines/1/assess: 2, "lines:items": [{}, {}] } }`)).toMatchObject(
      { code: 0 },
    );
  });
});

describe('a name that is no step', () => {
  const nested = `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec:
  steps:
    - id: route
      branch:
        cases: [{ when: 'true', steps: [{ id: assess, infer: { model: any-model, instructions: Say it., output: { type: number } } }] }]
    - id: other
      call: { flow: sub }
  onFailure: { steps: [{ id: tell, deliver: { destination: crm } }] }
---
apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: sub }
spec: { steps: [{ id: guess, infer: { model: any-model, instructions: Say it., output: { type: number } } }] }
`;
  const nestedTest = (more: string) => flows(write('tests.yaml', aTest(more).replace('cases:', 'name: triage\ncases:')));

  test('is refused with the name that was perhaps meant', async () => {
    expect(await testing('answers: { asess: { output: { urgency: 0.9 } } }')).toMatchObject({
      code: 1,
      notes: expect.stringMatching(
        /tests\.yaml:5:16 cases\.0\.answers\.asess: names no step of the flow triage; did you mean assess\?$/,
      ) as string,
    });
    expect((await testing(`${answered}\n    expect: { steps: { chek: { urgency: 0.9 }, xyz: 1 } }`)).notes).toMatch(
      /cases\.0\.expect\.steps\.chek: names no step of the flow triage; did you mean check\?\n.*xyz: names no step of the flow triage: it has assess, check, action, tell$/,
    );
  });

  test('is refused also if it is a step that asks nothing', async () => {
    expect(await testing('answers: { action: { output: 1 } }')).toMatchObject({
      code: 1,
      notes: expect.stringMatching(/answers\.action: the step action asks nothing outside, so it takes no answer/) as string,
    });
  });

  test('is one in a flow that is called, in a branch, or where a run is given up', async () => {
    write('flow.yaml', nested);
    const both = 'answers: { assess: { output: 1 }, guess: { output: 2 } }';
    const byPath = 'answers: { route/assess: { output: 1 }, other/guess: { output: 2 } }';
    const expected = 'expect: { steps: { route/assess: 1, other/guess: 2, "route:choice": { case: 0 } } }';
    expect(await nestedTest(`${both}\n    ${expected}`)).toMatchObject({ code: 0 });
    expect(await nestedTest(`${byPath}\n    ${expected}`)).toMatchObject({ code: 0 });
    expect((await nestedTest(`${both}\n    expect: { steps: { onFailure/tel: 1, guess: 2 } }`)).notes).toMatch(
      /onFailure\/tel: names no step of the flow triage; did you mean tell\?\n.*guess: is within another step: write the path of guess, such as other\/guess$/,
    );
  });
});

test('a case that cannot be tested is named with its place, and the others are tested', async () => {
  const cases = (...all: string[]): string =>
    `flow: flow.yaml\ncases:\n${all.map((more, at) => `  - { name: case-${at}, event: { type: ticket.x, data: { message: hi } }, ${more} }\n`).join('')}`;
  const good = 'answers: { assess: { output: { urgency: 0.9 } } }';
  const file = write(
    'tests.yaml',
    cases(
      'answers: { assess: { review: approved } }',
      `${good}, expect: { decision: { urgent: false } }`,
      `${good}, expect: { runs: true }`,
    ),
  );
  const { code, out, notes } = await flows(file);
  expect(code).toBe(2);
  expect(out).toMatch(/^✗ triage: case-0\n {2}could not be tested: .*tests\.yaml:3:82 The step assess asks no person: /);
  expect(out).toMatch(/\n✓ triage: case-2$/);
  expect(notes).toBe('1 of 3 cases failed, 1 could not be tested.');
  const json = await runInTest(['--json', 'flows', 'test', file], { directory });
  expect(JSON.parse(json.out.split('\n')[0]!)).toMatchObject({
    case: 'case-0',
    passed: false,
    unusable: expect.stringMatching(/tests\.yaml:3/) as string,
  });
});

test.each([
  ['{ review: approve }', /answers\.assess\.review: must be one of approved, rejected, expired; did you mean approved\?$/],
  [
    '{ fails: operation.timeot }',
    /answers\.assess\.fails: must be one of model\.unavailable, .*operation\.timeout.*; did you mean operation\.timeout\?$/,
  ],
  ['{ reviw: approved }', /answers\.assess\.reviw: is not a field that belongs here; did you mean review\?/],
])('a wrong word in an answer is told by its own field: %s', async (answer, told) => {
  const { code, notes } = await testing(`answers: { assess: ${answer} }`);
  expect([code, notes]).toEqual([1, expect.stringMatching(told)]);
  expect(notes).not.toMatch(/assess\.(output|text)/);
});

describe('a step that names a route', () => {
  const routed = flow.replace('model: any-model', 'route: triage');
  const route = (candidates: string, more = ''): string => `apiVersion: millrace/v1
kind: ModelRoute
metadata: { tenant: acme, name: triage }
spec:
  candidates: [${candidates}]
  ${more}
`;
  const two = '{ provider: mistral, model: small }, { model: local/rules-1 }';
  const bad = '{ text: "Well…" }';
  const good = '{ output: { urgency: 0.7 } }';
  const withRoute = (...given: Parameters<typeof route>): string => write('flow.yaml', `${routed}---\n${route(...given)}`);

  test('asks the next candidate when the answers to the one before are invalid', async () => {
    withRoute(two);
    const four = `answers: { assess: [${bad}, ${bad}, ${bad}, ${good}] }`;
    expect(await testing(`${four}\n    expect: { decision: { urgent: true } }`)).toMatchObject({ code: 0 });
    withRoute('{ provider: mistral, model: small }');
    expect(await testing(`${four}\n    expect: { fails: model.invalidOutput }`)).toMatchObject({ code: 0 });
  });

  test('asks the next candidate only after failures that `fallbackOn` names', async () => {
    const refused = `answers: { assess: [{ fails: model.refused }, ${good}] }`;
    withRoute(two);
    expect(await testing(`${refused}\n    expect: { fails: model.refused }`)).toMatchObject({ code: 0 });
    withRoute(two, 'fallbackOn: [refused]');
    expect(await testing(`${refused}\n    expect: { decision: { urgent: true } }`)).toMatchObject({ code: 0 });
  });

  test('asks a local model of the installation offline, and no other without an answer', { timeout: 30_000 }, async () => {
    const event = write('e.json', JSON.stringify({ type: 'ticket.created', data: { message: 'hello' } }));
    withRoute('{ model: local/rules-1 }');
    expect(await flows(join(directory, 'flow.yaml'), '--event', event)).toMatchObject({
      code: 0,
      out: expect.stringContaining('assess (infer) succeeded') as string,
    });
    withRoute('{ provider: mistral, model: local/small }');
    expect(await flows(join(directory, 'flow.yaml'), '--event', event)).toMatchObject({
      code: 2,
      notes:
        'The step assess asks the model local/small of the ModelProvider mistral: write its answer down (answers.assess), or give --model-url the address of its API',
    });
  });

  test('needs the route of its tenant among the files', async () => {
    write('flow.yaml', `${routed}---\n${route(two).replace('acme', 'other')}`);
    const { code, out } = await testing(answered);
    expect(code).toBe(2);
    expect(out).toMatch(/tests\.yaml:3:5 A step asks the model route triage of acme, which is not in the files \(they have none\): /);
    write('flow.yaml', routed);
    write('models.yaml', route(two));
    expect((await flows(write('tests.yaml', aTest(answered).replace('flow.yaml', '.')))).code).toBe(0);
  });
});

describe('an operation of a connection', () => {
  const calling = `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec:
  steps: [{ id: opened, call: { connection: desk, operation: openCase, input: event.data } }]
`;
  const desk = `
---
apiVersion: millrace/v1
kind: Connection
metadata: { tenant: acme, name: desk }
spec: { connector: desk-api, auth: { kind: none } }
---
apiVersion: millrace/v1
kind: Connector
metadata: { tenant: acme, name: desk-api }
spec:
  summary: A desk
  auth: [{ kind: none }]
  base: https://desk.example.com
  hosts: [desk.example.com]
  operations:
    openCase:
      summary: Opens a case
      effect: write
      idempotency: { class: none }
      input: { type: object, required: [subject], properties: { subject: { type: string } } }
      output: { type: object, required: [id], properties: { id: { type: string } } }
      request: { method: POST, path: /cases, body: input }
`;
  const opened = (data: string, more: string) =>
    flows(write('tests.yaml', aTest(`answers: { opened: { output: ${more} } }`).replace('{ message: hello }', data)));
  beforeEach(() => void write('flow.yaml', calling + desk));

  test.each(operationFailures)('can fail: %s', async (code) => {
    const failing = `answers: { opened: { fails: ${code} } }\n    expect: { fails: ${code} }`;
    expect(await flows(write('tests.yaml', aTest(failing).replace('{ message: hello }', '{ subject: Refund }')))).toMatchObject({
      code: 0,
    });
  });

  test('is answered to a sample event by a file of answers', async () => {
    const event = write('refund.json', JSON.stringify({ data: { subject: 'Refund' } }));
    const file = (text: string): string => write('answers.yaml', text);
    const withAnswers = (text: string, ...more: string[]) =>
      flows(join(directory, 'flow.yaml'), '--event', event, '--answers', file(text), ...more);
    const recorded = join(directory, 'recorded.yaml');
    expect(await withAnswers('opened: { output: { id: c-1 } }', '--record', recorded)).toMatchObject({
      code: 0,
      out: expect.stringContaining('decision  {"id":"c-1"}') as string,
    });
    expect(await flows(recorded)).toMatchObject({ code: 0, notes: '1 case passed.' });
    expect(await withAnswers('{ "openned": { "output": { "id": "c-1" } } }')).toMatchObject({
      code: 1,
      notes: expect.stringMatching(/answers\.yaml:1:3 openned: names no step of the flow triage; did you mean opened\?$/) as string,
    });
    expect(await withAnswers('\nopened: { output: { id: 1 } }')).toMatchObject({
      code: 2,
      notes: expect.stringMatching(/answers\.yaml:2:1 answers\.opened is nothing that openCase/) as string,
    });
    expect(await withAnswers('opened: { outpt: 1 }')).toMatchObject({
      code: 1,
      notes: expect.stringMatching(/did you mean output/) as string,
    });
    expect(await flows(recorded, '--answers', file('{}'))).toMatchObject({
      code: 2,
      notes: '--answers needs --event FILE: the cases of a file of tests have their own answers',
    });
  });

  test('takes and gives what its connector says, and nothing else', async () => {
    expect(await opened('{ subject: Refund }', '{ id: c-1 }')).toMatchObject({ code: 0, notes: '' });
    const refused = await opened('{ text: Refund }', '{ id: c-1 }');
    expect(refused).toMatchObject({
      code: 1,
      out: expect.stringContaining(
        "fails: operation.inputInvalid: The input does not fit the operation openCase: the input must have required property 'subject'",
      ) as string,
    });
    expect(await opened('{ subject: Refund }', '{ id: 1 }')).toMatchObject({
      code: 2,
      out: expect.stringContaining('answers.opened is nothing that openCase of the connection desk answers: /id must be string') as string,
    });
  });

  test('must be there', async () => {
    write('flow.yaml', calling.replace('openCase', 'openTicket') + desk);
    expect(await opened('{ subject: Refund }', '{ id: c-1 }')).toMatchObject({
      code: 2,
      out: expect.stringContaining(
        'The step opened uses openTicket, which the connector desk-api does not have: it has openCase',
      ) as string,
    });
  });

  test('is not checked, and the user is told so, where the files have no connection', async () => {
    write('flow.yaml', calling);
    const { code, notes } = await opened('{ text: Refund }', '{ id: 1 }');
    expect(code).toBe(0);
    expect(notes).toMatch(/^The connection desk is not in the files: /);
  });
});

test('the steps of onFailure are tried, too, and what they deliver is expected as any other', async () => {
  write(
    'flow.yaml',
    `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec:
  steps: [{ id: bad, map: { expression: '$number("x")' } }]
  onFailure: { steps: [{ id: tell, deliver: { destination: crm, payload: error.code } }] }
`,
  );
  const expected = 'expect: { fails: flow.expressionFailed, deliveries: [{ step: onFailure/tell, payload: flow.expressionFailed }] }';
  expect(await testing(expected)).toMatchObject({ code: 0, out: '✓ triage: angry' });
  expect(await testing(expected.replace('tell', 'other'))).toMatchObject({ code: 1 });
});

test('a failure that nobody expects is one, with its reason', async () => {
  const { code, out } = await testing('answers: { assess: { output: { urgency: -1 } } }\n    expect: { runs: true }');
  expect(code).toBe(1);
  expect(out).toMatch(/fails: flow.validationFailed: The step check refused its input: urgency is a share/);
  expect(out).toMatch(/✗ fails: expected nothing, found "flow.validationFailed"$/);
});

test('a run that fails ends with a failure also where nothing is expected', async () => {
  const low = 'answers: { assess: { output: { urgency: -1 } } }';
  const { code, out, notes } = await testing(low);
  expect([code, notes]).toEqual([1, '1 of 1 case failed.']);
  expect(out).toMatch(/✗ fails: expected nothing, found "flow.validationFailed"$/);
  const json = await runInTest(['--json', 'flows', 'test', write('tests.yaml', aTest(low))], { directory });
  expect([json.code, JSON.parse(json.out)]).toEqual([1, expect.objectContaining({ passed: false })]);
});

test.each([
  [
    '{ type: order.paid, data: { message: hello } }',
    'spec.on.types excludes it: its type is order.paid, its source sample, its customer sample',
  ],
  [
    '{ type: ticket.created, data: { message: "" } }',
    'spec.on.when is not true: its type is ticket.created, its source sample, its customer sample',
  ],
])('an event that starts no run says why: %s', async (event, why) => {
  const text = aTest(`${answered}\n    expect: { runs: true }`).replace(/event: .*/, `event: ${event}`);
  const { code, out } = await flows(write('tests.yaml', text));
  expect(code).toBe(1);
  expect(out).toContain(`  does not run: ${why}\n  ✗ runs: expected true, found false`);
});

test('a flow that takes requests alone runs on a sample as on a request', async () => {
  write(
    'flow.yaml',
    `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: triage }
spec: { onRequest: { default: '1' }, steps: [{ id: seen, map: { expression: event.source } }] }
`,
  );
  expect(await testing('expect: { decision: triage }')).toMatchObject({ code: 0 });
});

describe('a flow that takes requests alone, with a sample,', () => {
  const quote = `apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: quote }
spec: { onRequest: { default: '1' }, steps: [{ id: seen, map: { expression: '[event.source, event.type, event.customer]' } }] }
`;
  const decision = async (sample: object, ...args: string[]): Promise<string> =>
    (await flows(write('quote.yaml', quote), '--event', write('sample.json', JSON.stringify(sample)), ...args)).out
      .split('\n')
      .at(-1)!
      .trim();

  test('reads the type and the customer where the door reads them: from the body of the request', async () => {
    expect(await decision({ type: 'quote.asked', customer: 'c-9', amount: 3 })).toBe('decision  ["quote","quote.asked","c-9"]');
    expect(await decision({ customer: 'c-9', amount: 3 })).toBe('decision  ["quote","decision.requested","c-9"]');
    expect(await decision({ type: 'quote.asked', data: { type: 'other' } })).toBe('decision  ["quote","quote.asked","sample"]');
    expect(await decision({ type: 'quote.asked', amount: 3 }, '--type', 'quote.again')).toBe('decision  ["quote","quote.again","sample"]');
  });

  test('does not run on what the door refuses', async () => {
    const schema = 'schema: { type: object, required: [amount] }';
    const checked = quote.replace("default: '1'", `default: '1', ${schema}`);
    const seenOf = async (body: object): Promise<string> =>
      (await flows(write('checked.yaml', checked), '--event', write('sample.json', JSON.stringify(body)))).out;
    expect(await seenOf({ customer: 'c-9' })).toContain(
      'does not run: the door refuses it, because the body does not fit spec.onRequest.schema: ',
    );
    expect(await seenOf([1])).toContain('does not run: the door takes objects alone as bodies of requests');
    expect(await seenOf({ customer: 'c-9', amount: 3 })).toContain('decision  ');
  });

  test('says what to do if the sample names another source', async () => {
    expect(await decision({ source: 'shop', data: {} })).toMatch(
      /^does not run: it has onRequest and no on, so it takes requests alone, .*--source quote\): its type is .*, its source shop/,
    );
    expect(await decision({ source: 'shop', data: {} }, '--source', 'quote')).toMatch(/^decision/);
  });
});

describe('with a sample event', () => {
  const sample = { type: 'ticket.created', customer: 'c-1', data: { message: 'hello', amount: 7 } };

  test('the result can be recorded, and is then a test that passes; comments of the file stay', { timeout: 30_000 }, async () => {
    const local = flow.replace('any-model', 'local/rules-1');
    const event = write('angry.json', JSON.stringify(sample));
    mkdirSync(join(directory, 'tests'));
    const tests = join(directory, 'tests', 'triage.yaml');
    const recorded = await flows(write('flow.yaml', local), '--event', event, '--record', tests);
    expect(recorded).toMatchObject({ code: 0, out: expect.stringContaining('triage: angry\n  assess (infer) succeeded') as string });
    writeFileSync(tests, `# about tickets\n${readFileSync(tests, 'utf8')}`);
    await flows(join(directory, 'flow.yaml'), '--event', event, '--record', tests);
    expect(readFileSync(tests, 'utf8')).toMatch(/^# about tickets\nflow: \.\.\/flow\.yaml\n/);
    write('flow.yaml', flow); // the recorded answers need no model
    expect(await flows(tests)).toEqual({ code: 0, out: '✓ triage: angry\n✓ triage: angry', notes: '2 cases passed.' });
  });

  test.each([
    ['a CloudEvent', { specversion: '1.0', type: 'ticket.x', subject: 'c-9', source: '/s', id: '1', data: { message: 'm' } }, []],
    ['the body of a request', { message: 'm' }, ['--type', 'ticket.x', '--customer', 'c-9']],
  ])('it may be %s', async (_, body, args) => {
    const steps = '    - id: seen\n      map: { expression: "[event.type, event.customer, event.data.message]" }\n';
    const plain = `${flow.split('  steps:')[0]!}  steps:\n${steps}`;
    const { out } = await runInTest(
      ['--json', 'flows', 'test', write('flow.yaml', plain), '--event', write('e.json', JSON.stringify(body)), ...args],
      { directory },
    );
    expect(JSON.parse(out)).toMatchObject({ decision: ['ticket.x', 'c-9', 'm'] });
  });

  test.each([
    ['flow.yaml', [], /flow\.yaml is a document, not a test: give --event FILE/],
    ['tests.yaml', ['--record', 'x.yaml'], /--record needs --event FILE/],
    ['flow.yaml', ['--event', 'none.json'], /none\.json cannot be read: /],
    ['flow.yaml', ['--event', 'bad.json'], /bad\.json is no JSON: /],
    ['flow.yaml', ['--event', 'good.json', '--flow', 'other'], /has the flows triage, and none of the name other$/],
    ['good.json', ['--event', 'good.json'], /There is no Flow in /],
  ])('a file that cannot be used is named: %s %j', async (file, args, message) => {
    write('tests.yaml', aTest('expect: {}'));
    write('bad.json', '{');
    write('good.json', JSON.stringify(sample));
    const { code, notes } = await flows(join(directory, file), ...args.map((arg) => (/\.\w+$/.test(arg) ? join(directory, arg) : arg)));
    expect(code).toBe(2);
    expect(notes).toMatch(message);
  });
});

test('a test or a flow that does not fit is refused with file, line and field', async () => {
  const wrong = await testing('answer: {}');
  expect(wrong).toMatchObject({
    code: 1,
    notes: expect.stringMatching(/tests\.yaml:5:5 cases\.0\.answer: is not a field that belongs here; did you mean answers\?$/) as string,
  });
  write('flow.yaml', flow.replace('steps.assess, rules', 'steps.asses, rules'));
  const { code, notes } = await testing(answered);
  expect(code).toBe(1);
  expect(notes).toMatch(/flow\.yaml:13:19 spec\.steps\.1\.validate\.input: .*did you mean/);
});

test('with --watch a changed file is tested again, until the command is ended', async () => {
  const tests = write('tests.yaml', aTest(`${answered}\n    expect: { decision: { urgent: false } }`));
  const stop = new AbortController();
  const ended = await runInTest(['flows', 'test', tests, '--watch'], {
    directory,
    signal: stop.signal,
    onNote: (note) => {
      if (/^Waits for a change of .*tests\.yaml/.test(note))
        write('tests.yaml', aTest(`${answered}\n    expect: { decision: { urgent: true } }`));
      if (note === '1 case passed.') stop.abort();
    },
  });
  expect(ended.code).toBe(0);
  expect(ended.notes).toMatch(/^1 of 1 case failed\.\nWaits for a change of .*\n1 case passed\./);
});
