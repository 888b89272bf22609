import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { EventRecorded, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { startAuthorizationServer, uniqueName, waitFor } from '#libs/testing';
import type { AuthorizationServer } from '#libs/testing';
import { QueryServer } from '../../../test/query/query-server.js';
import { connectionOf, defaultUrl, hintAt } from './connection.js';
import { runInTest } from './run-in-test.js';
import type { RunInTest } from './run-in-test.js';

let server: QueryServer;
let directory: string;
let tenant: string;

beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  tenant = uniqueName('tenant');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs the command as its operator would, in the directory of the test. */
function millrace(args: string[], more: Omit<RunInTest, 'directory'> = {}) {
  return runInTest(args, { directory, environment: operator(), ...more });
}

const operator = (): Record<string, string> => ({
  MILLRACE_URL: server.url,
  MILLRACE_API_KEY: server.operatorKey,
  MILLRACE_TENANT: tenant,
});

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const createTenant = async (): Promise<void> => void (await millrace(['tenants', 'create', tenant]));

const documents = (url = 'https://crm.example/hook'): string => `apiVersion: millrace/v1
kind: Tenant
metadata: { name: ${tenant} }
spec: { displayName: Acme }
---
apiVersion: millrace/v1
kind: Destination
metadata: { tenant: ${tenant}, name: crm }
spec:
  kind: http
  url: ${url}
  secret: { value: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }
`;

describe('apply', () => {
  test('creates what is new, then finds nothing to change, then prints the difference and changes it', async () => {
    const path = file('all.yaml', documents());
    expect(await millrace(['apply', '-f', path])).toEqual({
      code: 0,
      out: `+ Tenant/${tenant} (version 1)\n+ Destination/crm (version 1)`,
      notes: '2 documents changed.',
    });
    expect((await millrace(['apply', '-f', path])).notes).toBe('Nothing to change.');
    file('all.yaml', documents('https://new.example/hook'));
    expect(await millrace(['apply', '-f', path])).toMatchObject({
      out: [
        `= Tenant/${tenant} (version 1)`,
        '~ Destination/crm (version 1 → 2)',
        '    ~ spec.url: "https://crm.example/hook" → "https://new.example/hook"',
      ].join('\n'),
      notes: '1 document changed.',
    });
  });

  test('with --dry-run it prints the difference and changes nothing', async () => {
    const path = file('all.yaml', documents());
    expect((await millrace(['apply', '--dry-run', '-f', path])).notes).toBe('2 documents would change.');
    expect((await millrace(['get', 'destinations'])).out).toBe('');
  });

  test('changes nothing if somebody else changes a document after its difference was printed', async () => {
    const path = file('all.yaml', documents());
    await millrace(['apply', '-f', path]);
    const mine = file('mine.yaml', documents('https://mine.example/hook'));
    const theirs = file('theirs.yaml', documents('https://theirs.example/hook'));
    const url = await whereSomebodyApplies(theirs);
    expect(await millrace(['apply', '-f', mine, '--url', url])).toMatchObject({
      code: 1,
      notes: expect.stringMatching(/^Destination\/crm .*: somebody changed it meanwhile. Nothing was changed; apply again$/) as string,
    });
    expect((await millrace(['get', 'destination', 'crm'])).out).toContain('https://theirs.example/hook');
  });

  test('a mistake is refused by file, line, column and field', async () => {
    const path = file('all.yaml', documents('ftp://x').replace('kind: http', 'kind: http\n  timeuotMs: 5'));
    expect(await millrace(['apply', '-f', path])).toEqual({
      code: 1,
      out: '',
      notes: [
        `${path}:12:3 spec.url: must be an http or https address`,
        `${path}:11:3 spec.timeuotMs: is not a field that belongs here; did you mean timeoutMs?`,
      ].join('\n'),
    });
  });
});

/** A server that records the `authorization` of each request, and of each upgrade. By default it answers 404. Ends with the test. */
async function recordingServer(
  respond: (response: ServerResponse) => void = (response) => response.writeHead(404).end(),
): Promise<{ url: string; authorizations: (string | undefined)[] }> {
  const authorizations: (string | undefined)[] = [];
  const recording = createServer(({ headers }, response) => {
    authorizations.push(headers.authorization);
    respond(response);
  })
    .on('upgrade', ({ headers }: IncomingMessage, socket: Duplex) => {
      authorizations.push(headers.authorization);
      socket.destroy();
    })
    .listen(0, '127.0.0.1');
  onTestFinished(() => void recording.close());
  await once(recording, 'listening');
  return { url: `http://127.0.0.1:${(recording.address() as AddressInfo).port}`, authorizations };
}

/** The address of a server before ours, at which somebody else applies a file right before a change. Ends with the test. */
async function whereSomebodyApplies(theirs: string): Promise<string> {
  const between = createServer((request, response) => {
    void text(request).then(async (body) => {
      if (body.includes('"dryRun":false')) await millrace(['apply', '-f', theirs]);
      const answer = await server.send(body, { authorization: request.headers.authorization!, 'millrace-tenant': tenant });
      response.end(await answer.text());
    });
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void between.close());
  await once(between, 'listening');
  return `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
}

const source = (name: string): string => `---
apiVersion: millrace/v1
kind: Source
metadata: { tenant: ${tenant}, name: ${name} }
spec: { scheme: api-key }
`;
const flow = (name: string, from: string): string => `---
apiVersion: millrace/v1
kind: Flow
metadata: { tenant: ${tenant}, name: ${name} }
spec:
  on: { sources: [${from}] }
  steps:
    - id: tell
      deliver: { destination: crm }
`;

test('apply prints warnings by file, line and column, and applies', async () => {
  const hub = `---\napiVersion: millrace/v1\nkind: Source\nmetadata: { tenant: ${tenant}, name: hub }\nspec:\n  scheme: github\n  secrets:\n    - value: '12345'\n`;
  const path = file('all.yaml', documents() + hub);
  const { code, notes } = await millrace(['apply', '-f', path]);
  expect(code).toBe(0);
  expect(notes).toContain(`warning: ${path}:20:7 spec.secrets.0: has fewer than 16 characters`);
});

test('apply refuses more documents than one transaction takes, and says what to do; validate notes it', async () => {
  const path = file('many.yaml', Array.from({ length: 201 }, (_, at) => source(`s${at}`)).join(''));
  expect(await millrace(['apply', '-f', path])).toEqual({
    code: 2,
    out: '',
    notes:
      '--file has 201 documents, and one apply changes at most 200. Apply parts of the files one after the other, first what others name',
  });
  expect(await millrace(['validate', '-f', path])).toMatchObject({
    code: 0,
    notes: expect.stringContaining('One apply changes at most 200 documents: apply parts of these files one after the other.') as string,
  });
});

test('a request that is too large for the server is told so, with what to do', async () => {
  await createTenant();
  const large = source('large').replace('api-key }', `api-key, type: '"${'x'.repeat(1_100_000)}"' }`);
  expect(await millrace(['apply', '-f', file('large.yaml', large)])).toMatchObject({
    code: 2,
    notes: expect.stringMatching(/^The body is larger than 1048576 bytes.*\. Apply parts of the documents one after the other$/) as string,
  });
});

test('where nothing is found, a tenant that does not exist is told from an empty one', async () => {
  const notes = `There is no tenant ${tenant}, which MILLRACE_TENANT names: name another, or create it with millrace tenants create ${tenant}`;
  for (const command of [
    ['events', 'list'],
    ['events', 'get', 'evt_x'],
    ['events', 'tail'],
    ['runs'],
    ['requests'],
    ['requests', 'get', 'req_x'],
    ['requests', 'verify', 'req_x'],
    ['requests', 'take', 'req_x'],
    ['requests', 'test', 'req_x'],
    ['dead-letters'],
    ['dead-letters', 'retry', 'dlq_x'],
    ['dead-letters', 'skip', 'dlq_x'],
    ['reviews'],
    ['reviews', 'show', 'rev_x'],
    ['reviews', 'claim', 'rev_x'],
    ['reviews', 'approve', 'rev_x'],
    ['events', 'replay', 'evt_x'],
    ['deliveries', 'redeliver', 'dlv_x'],
    ['redeliver', '--dry-run'],
    ['replay', '--dry-run'],
    ['operations'],
    ['runs', 'get', 'run_x'],
    ['runs', 'cancel', 'run_x'],
    ['operations', 'cancel', 'bop_x'],
    ['keys'],
    ['keys', 'revoke', 'x'],
    ['get', 'flows'],
    ['get', 'flows', '-o', 'json'],
    ['delete', 'flow', 'x'],
  ]) {
    expect([command, await millrace(command)]).toEqual([command, { code: 1, out: '', notes }]);
  }
  await createTenant();
  expect(await millrace(['events', 'list'])).toEqual({ code: 0, out: '', notes: '' });
  const remedy = `There is no Tenant named another in ${tenant}: give --tenant another`;
  expect(await millrace(['delete', 'tenant', 'another'])).toMatchObject({ code: 1, notes: remedy });
  expect(await millrace(['get', 'tenant', 'another'])).toMatchObject({ code: 1, notes: remedy });
});

test('an apply in a tenant that does not exist says so, unless its Tenant document comes along', async () => {
  const notes = `There is no tenant ${tenant}, which MILLRACE_TENANT names: name another, or create it with millrace tenants create ${tenant}`;
  expect(await millrace(['apply', '-f', file('source.yaml', source('hub'))])).toEqual({ code: 1, out: '', notes });
  expect(await millrace(['apply', '-f', file('foreign.yaml', source('hub').replace(tenant, 'another'))])).toEqual({
    code: 1,
    out: '',
    notes,
  });
  const { notes: ofDocument } = await millrace(['apply', '-f', file('all.yaml', documents() + flow('assess', 'nosuch'))]);
  expect(ofDocument).toContain('spec.on.sources.0: names no');
});

test('a word that is no command of a group is told with those that are', async () => {
  expect(await millrace(['dead-letters', 'show', 'dlq_1'])).toEqual({
    code: 2,
    out: '',
    notes: 'error: dead-letters has no command show: it has list, retry, skip',
  });
  expect((await millrace(['runs', 'show', 'run_1'])).notes).toBe('error: runs has no command show: it has list, get, cancel');
});

test('a day that is none is refused by its option, as a moment is', async () => {
  for (const given of ['yesterday', '2026-02-30', '2026-1-1']) {
    const refused = await millrace(['spend', '--from', given]);
    expect([refused.code, refused.notes]).toEqual([
      2,
      `error: option '--from <day>' argument '${given}' is invalid. It is a day such as 2026-01-31.`,
    ]);
  }
});

test('where nothing is found, a name of something that does not exist is told, with a similar one', async () => {
  await millrace(['apply', '-f', file('all.yaml', documents() + source('hub') + flow('assess', 'hub'))]);
  for (const [command, notes] of [
    [['runs', '--flow', 'asess'], 'There is no flow asess; did you mean assess?'],
    [['runs', '--flow', 'nosuch'], 'There is no flow nosuch'],
    [['reviews', '--flow', 'asess'], 'There is no flow asess; did you mean assess?'],
    [['events', 'list', '--source', 'hub', '--source', 'hib'], 'There is no source hib; did you mean hub?'],
    [['requests', '--source', 'hib'], 'There is no source hib; did you mean hub?'],
    [['requests', '--code', 'signature.mismach'], 'There is no failure code signature.mismach; did you mean signature.mismatch?'],
    [['dead-letters', '--code', 'nosuch'], 'There is no failure code nosuch'],
    [['replay', '--dry-run', '--flow', 'asess'], '--flow: names no flow of this tenant: asess; did you mean assess?'],
    [['redeliver', '--destination', 'crn'], '--destination: names no destination of this tenant: crn; did you mean crm?'],
  ] as const) {
    expect([command, await millrace([...command])]).toEqual([command, { code: 1, out: '', notes }]);
  }
  expect(await millrace(['spend', '--flow', 'nosuch'])).toMatchObject({
    code: 1,
    notes: expect.stringContaining('There is no flow nosuch') as string,
  });
  for (const command of [
    ['runs', '--flow', 'assess'],
    ['events', 'list', '--source', 'assess'],
    ['dead-letters', '--code', 'model.refused'],
  ])
    expect([command, await millrace(command)]).toEqual([command, { code: 0, out: '', notes: '' }]);
});

test('delete and apply --prune warn of runs that have not ended and may need what goes', async () => {
  const path = file('all.yaml', documents());
  expect(await millrace(['apply', '-f', path])).toMatchObject({ code: 0 });
  const told = flow('tell', 'hub');
  file('all.yaml', documents() + source('hub') + told);
  expect(await millrace(['apply', '-f', path])).toMatchObject({ code: 0 });
  await server.rows.event({ tenant, id: 'evt_1' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1', flow: 'tell', state: 'waiting' });
  const [owner] = documents().split('---');
  file('all.yaml', owner!);
  const warning = 'may be needed by 1 run that has not ended, 1 of which wait (tell, version 1): once Destination/crm is gone';
  const pruned = await millrace(['apply', '--prune', '--dry-run', '-f', path]);
  expect(pruned).toMatchObject({ code: 0, notes: expect.stringContaining(`warning: --prune: ${warning}`) as string });
  expect(await millrace(['delete', 'flow', 'tell'])).toMatchObject({ code: 0, notes: '' });
  const deleted = await millrace(['delete', 'destination', 'crm']);
  expect(deleted).toMatchObject({ code: 0, notes: expect.stringContaining(`warning: Destination/crm ${warning}`) as string });
});

describe('models', () => {
  const infer = (model: string): string =>
    flow('assess', 'hub').replace('deliver: { destination: crm }', `infer: { model: ${model}, instructions: i, output: { type: object } }`);
  beforeEach(() => server.rows.modelProvider({ address: 'https://one.example/v1', models: ['gpt-4o', 'o3'], listedAt: new Date(0) }));
  afterEach(() => server.rows.noModelProviders());

  test('are printed by provider, with the reason why one cannot be asked', async () => {
    await server.rows.modelProvider({ address: 'https://two.example/v1', models: null, errorCode: 'model.credential', errorMessage: 'no' });
    expect(await millrace(['models'])).toEqual({
      code: 0,
      out: 'gpt-4o\no3',
      notes: '2 models, listed by https://one.example/v1 at 1970-01-01T00:00:00.000Z.\nhttps://two.example/v1 cannot be asked: no',
    });
    expect((await millrace(['models', '--json'])).out.split('\n')[0]).toBe('{"name":"gpt-4o","provider":"https://one.example/v1"}');
  });

  test('of a provider of the tenant that has listed none are missed, and told from those that its document names', async () => {
    const provider = (name: string, more: string): string => `---
apiVersion: millrace/v1
kind: ModelProvider
metadata: { tenant: ${tenant}, name: ${name} }
spec: { service: mistral, apiKey: { value: sk-1 }${more} }
`;
    const known = provider('known', ', currency: EUR, models: { small: { price: { input: 0.1, output: 0.3 } } }');
    await millrace(['apply', '-f', file('all.yaml', documents() + provider('silent', '') + known)]);
    const { code, out, notes } = await millrace(['models']);
    expect([code, out.split('\n').at(-1)]).toEqual([0, 'known: small (unknown; 0.1 and 0.3 EUR for a million tokens in and out)']);
    expect(notes.split('\n').filter((note) => note.startsWith('ModelProvider '))).toEqual([
      expect.stringContaining('ModelProvider silent has listed no models yet') as string,
    ]);
  });

  test('that no provider lists are warned of by apply and by validate --models, and not by validate alone', async () => {
    const path = file('all.yaml', documents() + source('hub') + infer('gpt4o'));
    const warning = `warning: ${path}:26:16 spec.steps.0.infer.model: is listed by no model provider, so runs would fail at this step with model.refused: gpt4o; did you mean gpt-4o?`;
    const applied = await millrace(['apply', '-f', path]);
    expect(applied).toMatchObject({ code: 0, notes: expect.stringContaining(warning) as string });
    const validated = await millrace(['validate', '--models', '-f', path]);
    expect(validated).toMatchObject({ code: 0, notes: expect.stringContaining(warning) as string });
    expect((await millrace(['validate', '-f', path])).notes).toBe('4 documents checked.');
    file('all.yaml', documents() + source('hub') + infer('gpt-4o'));
    expect((await millrace(['validate', '--models', '-f', path])).notes).toBe('4 documents checked.');
  });

  test('of a provider of the tenant are known to validate --models as applied, with those that the files name, unless the files move it', async () => {
    const provider = (more: string): string => `---
apiVersion: millrace/v1
kind: ModelProvider
metadata: { tenant: ${tenant}, name: own }
spec: { baseUrl: https://${more.includes('moved') ? 'moved' : 'own'}.example/v1${more} }
`;
    const asking = (model: string): string => infer(`${model}, provider: own`);
    const path = file('all.yaml', documents() + source('hub') + provider('') + asking('large'));
    expect(await millrace(['apply', '-f', path])).toMatchObject({ code: 0 });
    const validated = async (more: string): Promise<string> => {
      file('all.yaml', documents() + source('hub') + more);
      return (await millrace(['validate', '--models', '-f', path])).notes;
    };
    const nothing = '5 documents checked.';
    expect(await validated(provider('') + asking('largge')), 'it was not asked yet').toBe(nothing);
    await server.rows.tenantModelProvider({ tenant, name: 'own', models: ['large'] });
    expect(await validated(provider('') + asking('largge'))).toContain('is listed by no model provider, so runs would fail at this step');
    expect(await validated(asking('largge'))).toContain('did you mean large? (asked: the ModelProvider own at ');
    expect(await validated(provider('') + asking('large'))).toBe(nothing);
    expect(await validated(provider(', models: { tuned: {} }') + asking('tuned'))).toBe(nothing);
    expect(await validated(provider(', models: { moved: {} }') + asking('largge'))).toBe(nothing);
    const elsewhere = infer('largge, provider: own').replaceAll(tenant, 'elsewhere');
    expect(await validated(provider('') + elsewhere)).not.toContain('is listed by no model provider');
  });
});

test('an address that a model chooses is warned of by validate, as far as the files tell', async () => {
  const mail = `---
apiVersion: millrace/v1
kind: Connection
metadata: { tenant: acme, name: mail }
spec: { connector: smtp, settings: { host: mail.example }, auth: { kind: none } }
---
apiVersion: millrace/v1
kind: Flow
metadata: { tenant: acme, name: answer }
spec:
  steps:
    - id: draft
      infer: { model: m, instructions: i, output: { type: object } }
    - id: send
      call: { connection: mail, operation: send, input: '{ "to": steps.draft.to }', atLeastOnce: true }
`;
  const { notes } = await millrace(['validate', '-f', file('mail.yaml', mail)]);
  expect(notes).toContain(
    'spec.steps.1.call.input: lets a model choose where mail.send goes: to comes from what it wrote (steps.draft.to)',
  );
});

describe('apply --prune', () => {
  test('changes and removes nothing if somebody else uses what it would remove after the difference was printed', async () => {
    await millrace(['apply', '-f', file('all.yaml', documents() + source('shop') + source('old'))]);
    const theirs = file('theirs.yaml', flow('theirs', 'old'));
    const rest = file('rest.yaml', source('shop') + source('new'));
    const url = await whereSomebodyApplies(theirs);
    const { code, notes } = await millrace(['apply', '--prune', '-f', rest, '--url', url]);
    expect([code, notes.split('\n')]).toEqual([
      1,
      [
        '--prune: is used by Flow/theirs: Destination/crm; change or remove what uses it, too. Nothing was changed',
        '--prune: is used by Flow/theirs: Source/old; change or remove what uses it, too. Nothing was changed',
      ],
    ]);
    const { out } = await millrace(['get', 'sources']);
    expect(['name: shop', 'name: old', 'name: new'].map((name) => out.includes(name))).toEqual([true, true, false]);
  });

  test('checks the webhooks at partners, of which there are none', async () => {
    await millrace(['apply', '-f', file('all.yaml', documents() + source('shop'))]);
    expect(await millrace(['sources', 'check'])).toEqual({ code: 0, out: '', notes: 'No webhook was registered.' });
    const remedy = 'register one by millrace sources register shop --connection <name>';
    expect(await millrace(['sources', 'check', 'shop'])).toMatchObject({
      code: 1,
      notes: `shop has no webhook that was registered: ${remedy}`,
    });
    expect(await millrace(['sources', 'check', 'shpo'])).toMatchObject({ code: 1, notes: 'There is no source shpo; did you mean shop?' });
  });

  test('removes what the files do not have, users before what they use, and never the tenant', async () => {
    const all = file('all.yaml', documents() + source('shop') + source('old') + flow('tell', 'shop') + flow('gone', 'old'));
    await millrace(['apply', '-f', all]);
    const rest = file('rest.yaml', source('shop') + source('new'));
    expect(await millrace(['apply', '--prune', '--dry-run', '-f', rest])).toEqual({
      code: 0,
      out: '= Source/shop (version 1)\n+ Source/new (version 1)\n- Flow/gone\n- Flow/tell\n- Destination/crm\n- Source/old',
      notes: '1 document would change, 4 would be removed.',
    });
    expect((await millrace(['--json', 'get', 'sources'])).out.split('\n')).toHaveLength(2);
    expect((await millrace(['apply', '--prune', '-f', rest])).notes).toBe('1 document changed, 4 removed.');
    expect((await millrace(['get', 'sources'])).out).not.toContain('name: old');
    expect([(await millrace(['get', 'flows'])).out, (await millrace(['get', 'destinations'])).out]).toEqual(['', '']);
    expect((await millrace(['get', 'tenant', tenant])).code).toBe(0);
    expect((await millrace(['apply', '--prune', '-f', rest])).notes).toBe('Nothing to change.');
  });

  test('changes nothing if a document of the files names what would be removed', async () => {
    await millrace(['apply', '-f', file('all.yaml', documents() + source('shop'))]);
    const path = file('flow.yaml', source('other') + flow('tell', 'shop'));
    expect(await millrace(['apply', '--prune', '-f', path])).toMatchObject({
      code: 1,
      out: '',
      notes: [
        `${path}:11:19 spec.on.sources.0: names Source/shop, which --prune would remove`,
        `${path}:14:18 spec.steps.0.deliver.destination: names Destination/crm, which --prune would remove`,
        'Add what is named to the files, or apply without --prune.',
      ].join('\n'),
    });
    expect((await millrace(['get', 'flows'])).out).toBe('');
  });
});

test('delete takes a document out of use, but not one that another names or that is not there', async () => {
  await millrace(['apply', '-f', file('all.yaml', documents() + source('shop') + flow('tell', 'shop'))]);
  expect(await millrace(['delete', 'source', 'shop'])).toMatchObject({ code: 1, out: '', notes: 'Source/shop is used by Flow/tell' });
  expect(await millrace(['delete', 'flows', 'tell'])).toEqual({ code: 0, out: '- Flow/tell', notes: '' });
  expect(await millrace(['delete', 'source', 'shop'])).toMatchObject({ code: 0, out: '- Source/shop' });
  expect(await millrace(['delete', 'source', 'shop'])).toMatchObject({ code: 1, notes: 'There is no Source named shop' });
  expect((await millrace(['get', 'sources'])).out).toBe('');
});

describe('tenants and keys', () => {
  test('create a tenant and its first key, which works until it is revoked', async () => {
    const created = await millrace(['tenants', 'create', tenant, '--display-name', 'Acme Inc']);
    expect(created).toMatchObject({ code: 0, out: `Tenant/${tenant} is created.` });
    expect(created.notes).toContain(`millrace --tenant ${tenant} keys create`);
    expect(await millrace(['tenants', 'create', tenant])).toMatchObject({ code: 1, notes: `There is a tenant ${tenant} already` });
    expect((await millrace(['tenants', 'get'])).out).toMatch(new RegExp(`^${tenant}  Acme Inc  version 1 of \\S+ by operator$`));
    const key = await millrace(['keys', 'create', 'the first', '--scope', 'read', 'ingest', '--expires', '2100-01-01']);
    expect(key).toMatchObject({ code: 0, out: expect.stringMatching(/^mr_test_\S+$/) as string });
    const environment = { MILLRACE_URL: server.url, MILLRACE_API_KEY: key.out };
    await waitFor(async () => (await millrace(['events', 'list'], { environment })).code === 0, { what: 'the key to be in force' });
    expect(await millrace(['get', 'sources'], { environment })).toMatchObject({
      code: 2,
      notes: 'This needs the scope admin; the API key has read, ingest. Use a key with that scope.',
    });
    const line = /^\S+  (\S+)  READ,INGEST  expires 2100-01-01T00:00:00.000Z  by operator  the first$/;
    const [, id] = line.exec((await millrace(['keys'])).out)!;
    expect((await millrace(['keys', 'revoke', id!])).out).toBe(`${id} is revoked. Every process refuses it within 30 seconds.`);
    expect((await millrace(['keys', 'list'])).out).toContain('  revoked 2');
    expect(await millrace(['keys', 'revoke', 'nope'])).toMatchObject({ code: 1, notes: 'There is no API key nope' });
  });

  test('a key for a tenant that is not there, without a scope, or that ends in the past is refused', async () => {
    expect((await millrace(['keys', 'create', 'x', '--scope', 'read'])).notes).toContain(`There is no tenant ${tenant}`);
    expect(await millrace(['keys', 'create', 'x'])).toMatchObject({ code: 2, notes: expect.stringContaining('--scope') as string });
    expect((await millrace(['keys', 'create', 'x', '--scope', 'write'])).notes).toContain('The scopes are ingest, read');
    expect(await millrace(['keys', 'create', 'x', '--scope', 'read', '--expires', '2001-01-01'])).toMatchObject({
      code: 1,
      notes: '--expires: must be in the future',
    });
  });

  test('only the operator creates tenants', async () => {
    for (const name of [tenant, uniqueName('other')]) {
      const environment = { MILLRACE_URL: server.url, MILLRACE_API_KEY: await server.key(tenant, 'admin') };
      expect(await millrace(['tenants', 'create', name], { environment })).toMatchObject({
        notes: expect.stringContaining('Only the operator’s key creates tenants') as string,
      });
    }
    expect(await millrace(['tenants', 'create', 'Ac me'])).toMatchObject({
      code: 2,
      notes: expect.stringContaining('lower-case') as string,
    });
  });
});

describe('events list', () => {
  beforeEach(async () => {
    await createTenant();
    for (const n of [1, 2, 3]) {
      const receivedAt = new Date(Date.parse('2026-11-20T10:00:00Z') + n * 3_600_000);
      await server.rows.event({ tenant, id: `evt_${n}`, customer: `cus-${n}`, receivedAt });
    }
  });
  const ids = async (...args: string[]): Promise<string[]> =>
    (await millrace(['events', 'list', ...args])).out.split('\n').map((line) => line.split('  ')[1]!);

  test('prints the newest first, as its filters say', async () => {
    expect((await millrace(['events', 'list', '--customer', 'cus-1'])).out).toBe(
      '2026-11-20T11:00:00.000Z  evt_1  RECORDED    invoice.paid  stripe  cus-1',
    );
    expect(await ids()).toEqual(['evt_3', 'evt_2', 'evt_1']);
    expect(await ids('--from', '2026-11-20T12:00:00Z', '--before', '2026-11-20T13:00:00Z')).toEqual(['evt_2']);
    expect(await ids('--source', 'stripe', '--type', 'invoice.*', '--state', 'recorded', 'parked')).toHaveLength(3);
    expect((await millrace(['events', 'list', '--source', 'none'])).out).toBe('');
    expect(await millrace(['events', 'list', '--first', '2'])).toMatchObject({
      out: expect.not.stringContaining('evt_1') as string,
      notes: expect.stringContaining('There are more') as string,
    });
  });

  test('reads as many pages as it needs', async () => {
    for (let n = 0; n < 101; n += 1) await server.rows.event({ tenant, id: `evt_more${n}`, customer: 'cus-9' });
    expect(await ids('--customer', 'cus-9', '--first', '101')).toHaveLength(101);
  });

  test('a state that there is not is refused by its option', async () => {
    expect(await millrace(['events', 'list', '--state', 'gone'])).toMatchObject({
      code: 2,
      notes: expect.stringContaining('The states are recorded, running, delivering, completed, parked.') as string,
    });
    expect((await millrace(['redeliver', '--state', 'gone'])).notes).toContain(
      'The states are pending, delivered, parked, skipped, superseded.',
    );
    expect((await millrace(['events', 'list', '--first', '0'])).code).toBe(2);
  });
});

test('with --json every result is one line of JSON on standard output, and everything else is on standard error', async () => {
  const path = file('all.yaml', documents() + source('shop'));
  const applied = await millrace(['apply', '-f', path, '--json']);
  expect(applied.out.split('\n').map((line) => (JSON.parse(line) as { change: string }).change)).toEqual(['CREATED', 'CREATED', 'CREATED']);
  expect(applied.notes).toBe('3 documents changed.');
  await server.rows.event({ tenant, id: 'evt_json', customer: 'cus-9' });
  await server.rows.deadLetter({ tenant, id: 'dlq_json', kind: 'run', event: 'evt_json' });
  await server.rows.bulkOperation({ tenant, id: 'bop_json' });
  const first = async (...args: string[]): Promise<unknown> => JSON.parse((await millrace(['--json', ...args])).out.split('\n')[0]!);
  expect(await first('get', 'source', 'shop')).toMatchObject({ kind: 'Source', spec: { scheme: 'api-key' } });
  expect(await first('get', 'sources', '-o', 'json')).toMatchObject([{ kind: 'Source' }]);
  expect(await first('events', 'list')).toMatchObject({ id: 'evt_json', customer: { key: 'cus-9' } });
  expect(await first('events', 'get', 'evt_json')).toMatchObject({
    id: 'evt_json',
    timeline: [{ kind: 'RECEIVED' }, { kind: 'RECORDED' }, { kind: 'PARKED' }],
  });
  await server.rows.request({ tenant, id: 'req_json', source: 'shop', events: ['evt_json'], headers: { 'X-Sig': 'ab' }, bodyBytes: 9 });
  expect(await first('requests', '--code', 'signature.mismatch')).toMatchObject({ id: 'req_json', outcome: 'REFUSED' });
  expect(await first('requests', '--outcome', 'refused')).toMatchObject({ id: 'req_json' });
  expect((await millrace(['requests', '--outcome', 'accepted'])).out).toBe('');
  expect(await first('requests', 'get', 'req_json')).toMatchObject({ id: 'req_json', body: '{}', events: [{ id: 'evt_json' }] });
  expect((await millrace(['requests', 'get', 'req_json'])).out).toContain(
    '2 of 9 bytes of the body are kept\nbrought evt_json\n\nPOST /webhooks/',
  );
  expect(await millrace(['requests', 'verify', 'req_json'])).toMatchObject({ code: 1, notes: 'The source shop takes no webhooks' });
  expect(await first('dead-letters')).toMatchObject({ id: 'dlq_json' });
  expect(await first('operations')).toMatchObject({ id: 'bop_json' });
  expect(await first('operations', 'cancel', 'bop_json')).toMatchObject({ id: 'bop_json' });
  expect(await first('replay', '--dry-run')).toEqual({ matched: { value: 0, exact: true } });
  expect(await first('dead-letters', 'skip', 'dlq_json')).toMatchObject({ id: 'dlq_json', commandId: expect.any(String) as string });
  expect(await first('tenants', 'get')).toMatchObject({ name: tenant, displayName: 'Acme' });
  expect(await first('keys', 'create', 'k', '--scope', 'read')).toMatchObject({ name: 'k', key: expect.any(String) as string });
  expect(await first('delete', 'source', 'shop')).toMatchObject({ kind: 'Source', change: 'REMOVED' });
});

test('get prints documents that can be applied again, as YAML and as JSON, without their secrets', async () => {
  await millrace(['apply', '-f', file('all.yaml', documents())]);
  const yaml = await millrace(['get', 'destination', 'crm']);
  expect(yaml.out).toContain('kind: Destination');
  expect(yaml.out).not.toContain('whsec_');
  const json = await millrace(['get', 'Destination', '-o', 'json']);
  for (const path of [file('again.yaml', yaml.out), file('again.json', json.out)]) {
    expect(await millrace(['apply', '-f', path])).toMatchObject({ out: '= Destination/crm (version 1)', notes: 'Nothing to change.' });
  }
  expect(await millrace(['get', 'destination', 'other'])).toMatchObject({ code: 1, notes: 'There is no Destination named other' });
});

test('events get prints an event with what happened to it', async () => {
  await createTenant();
  await server.rows.event({ tenant, id: 'evt_cli', customer: 'cus-9' });
  const { code, out } = await millrace(['events', 'get', 'evt_cli']);
  expect([code, out.split('\n')[0]]).toEqual([0, 'evt_cli  invoice.paid  from stripe  about cus-9  RECORDED']);
  expect(out).toContain('Received from stripe');
  expect(out).not.toContain('held');
  expect(await millrace(['events', 'get', 'evt_none'])).toMatchObject({ code: 1, notes: 'There is no event evt_none' });
});

test('events get says behind which dead letter an event waits, and how to settle that', async () => {
  await createTenant();
  const { rows } = server;
  for (const id of ['evt_ahead', 'evt_held']) await rows.event({ tenant, id });
  await rows.hold({ tenant, customer: 'cus-1', deadLetter: 'dlq_ahead', records: 2, events: ['evt_ahead', 'evt_held'] });
  const waits = async () => (await millrace(['events', 'get', 'evt_held'])).out.split('\n').at(-1);
  const listed = async () =>
    (await millrace(['events', 'list'])).out.split('\n').map((line) => / (evt_\w+) .* {2}(\S+|held behind \S+)$/.exec(line)?.slice(1));
  expect(await waits()).toBe('  held behind a dead letter that is not stored yet');
  expect(await listed()).toEqual([
    ['evt_held', 'held'],
    ['evt_ahead', 'cus-1'],
  ]);
  await rows.deadLetter({ tenant, id: 'dlq_ahead', kind: 'run', event: 'evt_ahead' });
  expect(await waits()).toBe(
    '  held behind dlq_ahead of evt_ahead, which holds 2 records: settle it with millrace dead-letters retry dlq_ahead, or millrace dead-letters skip dlq_ahead',
  );
  expect((await listed())[0]).toEqual(['evt_held', 'held behind dlq_ahead']);
});

test('evaluate prints the value of an expression on a stored event, and the place of a mistake in it', async () => {
  await server.rows.event({ tenant, id: 'evt_1', type: 'ticket.created' });
  const found = await millrace(['evaluate', '{ "type": event.type, "n": item.n }', '--event', 'evt_1', '--names', '{"item":{"n":2}}']);
  expect(found).toMatchObject({ code: 0, out: '{\n  "type": "ticket.created",\n  "n": 2\n}' });
  expect(found.notes).toMatch(/^object, [\d.]+ ms$/);
  const failed = await millrace(['evaluate', 'event.type + 1', '--event', 'evt_1']);
  expect(failed).toMatchObject({ code: 1, out: '' });
  expect(failed.notes).toMatch(/^event.type \+ 1\n {11}\^\nflow.expressionFailed: /);
  expect(await millrace(['evaluate', 'event.type'])).toMatchObject({ code: 2, notes: expect.stringContaining('--event') as string });
  expect(await millrace(['evaluate', 'event.type', '--event', 'evt_9'])).toMatchObject({ code: 1 });
  expect(await millrace(['evaluate', 'a', '--event', 'evt_1', '--names', '{'])).toMatchObject({ code: 2 });
});

const startedTrial = statement('test.cli.startedTrial', `SELECT target FROM audit_entry WHERE tenant_id = $1 AND action = 'startBacktest'`);
const startedTries = statement('test.cli.startedTries', `SELECT target FROM audit_entry WHERE tenant_id = $1 AND action = 'tryFlow'`);
const outcomeOfTrial = statement(
  'test.cli.outcomeOfTrial',
  `UPDATE trial_outcome SET change = $3, base_run_id = $4 WHERE tenant_id = $1 AND trial_id = $2`,
);
const decideReview = statement(
  'test.cli.decideReview',
  `UPDATE review SET state = 'decided', outcome = 'approved', value = proposal, decided_by = 'Ada', ended_at = clock_timestamp() WHERE tenant_id = $1`,
);
const reviewsOfTrial = statement(
  'test.cli.reviewsOfTrial',
  `UPDATE trial_outcome SET stored_reviews = 1, expired_reviews = 1, obstacle = NULL, steps = '[
     {"id": "approval", "kind": "review", "state": "succeeded", "output": 1, "costs": {}, "reviewSource": "stored", "reviewId": "rev_1",
      "startedAt": "2026-11-30T10:00:00.000Z", "finishedAt": "2026-11-30T10:00:00.000Z"},
     {"id": "other", "kind": "review", "state": "succeeded", "output": 1, "costs": {}, "reviewSource": "otherQuestion",
      "startedAt": "2026-11-30T10:00:00.000Z", "finishedAt": "2026-11-30T10:00:00.000Z"}]' WHERE tenant_id = $1 AND trial_id = $2`,
);
const completeTrial = statement('test.cli.completeTrial', `UPDATE trial SET state = 'completed' WHERE tenant_id = $1 AND id = $2`);
const withoutPrice = statement('test.cli.withoutPrice', `UPDATE model_attempt SET cost_nanos = NULL, currency = NULL WHERE tenant_id = $1`);
const endedTrial = statement(
  'test.cli.endedTrial',
  `INSERT INTO trial (tenant_id, id, kind, flow, flow_version, events, outputs, max_events, max_seconds, state, actor, scanned, skipped)
   VALUES ($1, $2, 'backtest', 'triage', 1, '{}', '{}', 1, 900, 'completed', 'key:1', 50, 50)`,
);

describe('trials of flows', () => {
  const document = (expression: string) =>
    JSON.stringify({
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant, name: 'triage' },
      spec: { steps: [{ id: 'say', map: { expression } }] },
    });

  test('a backtest that compared nothing says why it ended, and is no success where everything is to be as before', async () => {
    const database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
    onTestFinished(() => database.close());
    await createTenant();
    await millrace(['apply', '-f', file('flow.json', document('1'))]);
    const backtest = millrace(['flows', 'backtest', '--flow', 'triage', '--last', '1', '--expect-same']);
    const id = await waitFor(async () => (await database.query<{ target: string }>(startedTrial, [tenant]))[0]?.target ?? false, {
      what: 'the backtest to be ordered',
    });
    await database.query(endedTrial, [tenant, id]);
    const { code, out, notes } = await backtest;
    expect([code, out]).toEqual([1, id]);
    expect(notes).toContain('It stopped before its last event: LOOKS');
    expect(notes).toContain('costs no known amount, before no known amount');
    expect(notes).toContain('Nothing was compared: the flow runs on none of 50 events looked at');
  });

  test('a trial of one step says with what its result was compared, or why with nothing', async () => {
    const database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
    onTestFinished(() => database.close());
    await createTenant();
    await millrace(['apply', '-f', file('flow.json', document('1'))]);
    await server.rows.event({ tenant, id: 'evt_1' });
    await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
    const known = new Set<string>();
    for (const [change, base, told] of [
      ['new', null, 'NEW: no run of the flow on this event has ended, so there is nothing to compare with'],
      ['new', 'run_1', 'NEW: run_1 has no result of say, so there is nothing to compare with'],
      ['same', 'run_1', 'compared with run_1  SAME: as it was decided'],
    ]) {
      const trying = millrace(['flows', 'try', '--flow', 'triage', '--event', 'evt_1', '--step', 'say']);
      const started = async (): Promise<string | false> =>
        (await database.query<{ target: string }>(startedTries, [tenant])).find(({ target }) => !known.has(target))?.target ?? false;
      const id = await waitFor(started, { what: 'the trial to be ordered' });
      known.add(id);
      await server.rows.trial({ tenant, id, event: 'evt_1', state: 'running' });
      await database.query(outcomeOfTrial, [tenant, id, change, base]);
      await database.query(completeTrial, [tenant, id]);
      const { code, out } = await trying;
      expect([code, out.split('\n')]).toEqual([0, ['result of say  1', told]]);
    }
  });

  test('a trial with reviews says of each whose decision it has, or why it expired; a promotion, that nobody is asked again', async () => {
    const database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
    onTestFinished(() => database.close());
    await createTenant();
    await millrace(['apply', '-f', file('flow.json', document('1'))]);
    await server.rows.event({ tenant, id: 'evt_1' });
    await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
    await server.rows.review({ tenant, id: 'rev_1', run: 'run_1', event: 'evt_1' });
    await database.query(decideReview, [tenant]);
    const trying = millrace(['flows', 'try', '--flow', 'triage', '--event', 'evt_1']);
    const id = await waitFor(async () => (await database.query<{ target: string }>(startedTries, [tenant]))[0]?.target ?? false, {
      what: 'the trial to be ordered',
    });
    await server.rows.trial({ tenant, id, event: 'evt_1', state: 'running' });
    await database.query(outcomeOfTrial, [tenant, id, 'different', 'run_1']);
    await database.query(reviewsOfTrial, [tenant, id]);
    await database.query(completeTrial, [tenant, id]);
    expect((await trying).out.split('\n').slice(0, 6)).toEqual([
      'approval  review  succeeded  0 ms',
      '  1',
      '  as a person decided on it in the stored run: Ada, rev_1',
      'other  review  succeeded  0 ms',
      '  1',
      '  it expired here: the stored run asked a person something else',
    ]);
    const promoted = await millrace(['flows', 'promote', id, '--dry-run']);
    expect(promoted).toMatchObject({ code: 0, out: '1 outcome would be promoted.' });
    expect(promoted.notes).toContain(
      '1 decision of people stands as made in the stored runs; only what nobody has decided there is asked.',
    );
    const backtest = millrace(['flows', 'backtest', '--flow', 'triage', '--last', '1']);
    const second = await waitFor(async () => (await database.query<{ target: string }>(startedTrial, [tenant]))[0]?.target ?? false, {
      what: 'the backtest to be ordered',
    });
    await server.rows.trial({ tenant, id: second, event: 'evt_1', state: 'running' });
    await database.query(outcomeOfTrial, [tenant, second, 'different', 'run_1']);
    await database.query(reviewsOfTrial, [tenant, second]);
    await database.query(completeTrial, [tenant, second]);
    const { out, notes } = await backtest;
    const line = 'reviews: 1 as people decided in the stored runs, 1 expired, because no person has decided the same question';
    expect(out.split('\n').slice(0, 3)).toEqual([second, 'evt_1  DIFFERENT', `  ${line}`]);
    expect(notes.split('\n').at(-1)).toBe(line);
  });

  test('what a flow costs where the price of a model is unknown is not nothing: the model is named, and how to give its price', async () => {
    await createTenant();
    await millrace(['apply', '-f', file('flow.json', document('1'))]);
    const window = ['--from', '2026-11-01T00:00:00Z', '--before', '2099-12-01T00:00:00Z'];
    expect((await millrace(['flows', 'cost', 'triage', ...window])).out).toMatch(/^an unknown amount for 0 runs on 0 events, from 0 runs/);
    const database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
    onTestFinished(() => database.close());
    await server.rows.event({ tenant, id: 'evt_1' });
    await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
    expect((await millrace(['flows', 'cost', 'triage', ...window])).out).toBe('1.25 EUR for 1 run on 1 event, from 1 run on 1 event');
    await database.query(withoutPrice, [tenant]);
    const day = new Date().toISOString().slice(0, 10);
    await server.rows.modelSpend({ tenant, day, provider: 'mine', model: 'small', currency: '-', calls: 3, costNanos: 0 });
    await server.rows.modelSpend({ tenant, day, provider: '-', model: 'local/rules-1', currency: '-', costNanos: 0 });
    await server.rows.modelSpend({ tenant, day, provider: 'mine', model: 'priced' });
    const { out } = await millrace(['flows', 'cost', 'triage', ...window]);
    expect(out.split('\n').slice(0, 2)).toEqual([
      'an unknown amount for 1 run on 1 event, from 1 run on 1 event',
      '1 call of these runs not counted: no price was known for the models',
    ]);
    expect(out).toContain(
      'The price of small is unknown (3 calls in 90 days): give the ModelProvider mine spec.currency and spec.models: { "small"',
    );
    expect(out).toContain('The price of local/rules-1 is unknown (1 call in 90 days): the provider of the installation has none.');
    expect(out).not.toContain('priced ');
    const json = JSON.parse((await millrace(['--json', 'flows', 'cost', 'triage', ...window])).out) as object;
    expect(json).toMatchObject({
      unpricedCalls: 1,
      unpricedModels: expect.arrayContaining([{ provider: 'mine', model: 'small', calls: 3 }]) as object[],
    });
  });

  test('what does not fit is told by its place in the file, and what is missing by its option', async () => {
    const path = file('flow.json', document('event.data.'));
    const refused = await millrace(['flows', 'try', path, '--event', 'evt_1']);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.notes).toMatch(/^.*flow\.json:1:\d+ spec\.steps\.0\.map\.expression: /);
    expect(await millrace(['flows', 'try', path])).toMatchObject({ code: 2, notes: expect.stringContaining('--event') as string });
    expect(await millrace(['flows', 'try'])).toMatchObject({ code: 2, notes: expect.stringContaining('--flow') as string });
    expect(await millrace(['flows', 'backtest', path, '--max-cost', '3'])).toMatchObject({ code: 2 });
    expect(await millrace(['flows', 'backtest', '--flow', 'nosuch'])).toMatchObject({ code: 1 });
  });

  test('are listed and cancelled', async () => {
    await server.rows.event({ tenant, id: 'evt_1' });
    await server.rows.trial({ tenant, id: 'trl_1', event: 'evt_1' });
    expect((await millrace(['flows', 'trials'])).out).toMatch(/trl_1 {2}triage 1 {2}COMPLETED {2}1 event, 0 the same {2}by key:test$/);
    expect(await millrace(['flows', 'cancel', 'trl_1'])).toMatchObject({
      code: 0,
      out: 'trl_1 is COMPLETED: there is nothing left to cancel.',
    });
    expect(await millrace(['flows', 'cancel', 'trl_9'])).toMatchObject({ code: 1 });
  });
});

test('events tail prints a line per change until it is stopped', async () => {
  await createTenant();
  await server.rows.event({ tenant, id: 'evt_tail', customer: 'cus-9' });
  const lines: string[] = [];
  const notes: string[] = [];
  const stop = new AbortController();
  const tail = millrace(['events', 'tail', '--customer', 'cus-9'], {
    onPrint: (line) => lines.push(line),
    onNote: (line) => notes.push(line),
    signal: stop.signal,
  });
  await waitFor(() => notes.some((note) => note.startsWith('Listening at')), { what: 'the tail to listen' });
  const about = { tenant, customer: 'cus-9', eventId: 'evt_tail', at: '2026-11-21T09:00:00.000Z' };
  await waitFor(
    async () => {
      await server.part(RecordProducer).append(topics.outcomes, EventRecorded, { ...about, source: 'stripe', type: 'invoice.paid' });
      return lines.length > 0;
    },
    { what: 'a line' },
  );
  expect(lines[0]).toBe('2026-11-21T09:00:00.000Z  RECORDED   evt_tail  invoice.paid  stripe  cus-9');
  stop.abort();
  expect((await tail).code).toBe(0);
});

test('events tail says once that the connection is lost, and ends at once when it is stopped while it tries again', async () => {
  const stopping = await QueryServer.start();
  const notes: string[] = [];
  const stop = new AbortController();
  const environment = { MILLRACE_URL: stopping.url, MILLRACE_API_KEY: stopping.operatorKey, MILLRACE_TENANT: tenant };
  await millrace(['tenants', 'create', tenant], { environment });
  const tail = millrace(['events', 'tail'], {
    environment,
    onNote: (line) => notes.push(line),
    signal: stop.signal,
  });
  await waitFor(() => notes.length > 0, { what: 'the tail to listen' });
  await stopping.stop();
  await waitFor(() => notes.length > 1, { what: 'the loss to be told' });
  stop.abort();
  expect((await tail).code).toBe(0);
  expect(notes[1]).toBe('The connection is lost; trying again.');
  expect(notes).toHaveLength(2);
});

describe('after an outage', () => {
  beforeEach(async () => {
    await millrace(['apply', '-f', file('all.yaml', documents())]);
    const { rows } = server;
    for (const n of [1, 2, 3]) {
      const createdAt = new Date(Date.parse('2026-11-20T10:00:00Z') + n * 3_600_000);
      await rows.event({ tenant, id: `evt_${n}`, customer: 'cus-9' });
      await rows.run({ tenant, id: `run_${n}`, event: `evt_${n}`, state: 'failed' });
      await rows.deadLetter({ tenant, id: `dlq_${n}`, kind: 'run', event: `evt_${n}`, run: `run_${n}`, createdAt });
      await rows.delivery({ tenant, id: `dlv_${n}`, event: `evt_${n}`, run: `run_${n}`, state: 'parked', createdAt });
      await rows.deadLetter({ tenant, id: `dlq_d${n}`, event: `evt_${n}`, run: `run_${n}`, delivery: `dlv_${n}`, createdAt });
    }
  });

  test('replay and redeliver with --dry-run print how many it would be', async () => {
    const between = ['--from', '2026-11-20T11:00:00Z', '--before', '2026-11-20T12:30:00Z', '--dry-run'];
    expect(await millrace(['replay', ...between])).toEqual({ code: 0, out: '2 events would be replayed.', notes: '' });
    expect(await millrace(['redeliver', ...between])).toEqual({ code: 0, out: '2 deliveries would be redelivered.', notes: '' });
    expect((await millrace(['replay', '--dry-run', '--events', '--type', 'invoice.*', '--state', 'parked', 'running'])).out).toMatch(
      /^3 events/,
    );
    expect((await millrace(['redeliver', '--dry-run', '--state', 'parked', '--destination', 'crm'])).out).toMatch(/^3 deliveries/);
    expect((await millrace(['redeliver', '--dry-run', '--code', 'delivery.timeout'])).out).toMatch(/^0 deliveries/);
    expect((await millrace(['operations'])).out).toBe('');
  });

  test('redeliver says how many it leaves out because they may take effect a second time, and what to do about them', async () => {
    for (const [generation, state] of [
      [1, 'parked'],
      [2, 'delivered'],
    ] as const) {
      const run = { tenant, event: 'evt_1', generation };
      await server.rows.run({ ...run, id: `run_again${generation}` });
      await server.rows.delivery({ ...run, id: `dlv_again${generation}`, run: `run_again${generation}`, state, object: 'order-1' });
    }
    const { out, notes } = await millrace(['redeliver', '--state', 'parked', '--dry-run']);
    expect(out).toBe('3 deliveries would be redelivered.');
    expect(notes).toMatch(/^1 delivery left out: a newer delivery sets their object \(delivery\.superseded\): .*skip/);
    expect(JSON.parse((await millrace(['redeliver', '--state', 'parked', '--dry-run', '--json'])).out)).toEqual({
      matched: { value: 4, exact: true },
      leftOut: [{ code: 'delivery.superseded', count: 1 }],
    });
  });

  test('with --wait the progress is shown until the operation is over', async () => {
    const printed: string[] = [];
    const noted: string[] = [];
    const waiting = millrace(['redeliver', '--wait', '--rate', '10'], {
      onPrint: (line) => printed.push(line),
      onNote: (line) => noted.push(line),
    });
    await waitFor(() => noted.some((line) => line.includes('waits to be started')), { what: 'the wait for its start' });
    const id = printed[0]!;
    await server.rows.bulkOperation({ tenant, id, kind: 'redelivery', total: 3, done: 1 });
    await waitFor(() => noted.includes(`${id}  REDELIVERY  RUNNING  1 of 3`), { what: 'the progress' });
    const leftOut = { 'delivery.secondEffect': 1 };
    await server.rows.bulkOperation({ tenant, id, kind: 'redelivery', total: 3, done: 2, leftOut, state: 'completed' });
    expect((await waiting).code).toBe(0);
    const end = `${id}  REDELIVERY  COMPLETED  2 of 3  1 left out (delivery.secondEffect)`;
    expect(printed[1]).toBe(end);
    expect((await millrace(['operations'])).out.replace(/^\S+  /, '')).toBe(`${end}  by key:test`);
  });

  test('an operation is cancelled by its id, and one that nobody knows is refused', async () => {
    await server.rows.bulkOperation({ tenant, id: 'bop_1' });
    expect(await millrace(['operations', 'cancel', 'bop_1'])).toEqual({ code: 0, out: 'bop_1 is being cancelled.', notes: '' });
    await server.rows.bulkOperation({ tenant, id: 'bop_1', state: 'completed', total: 3, done: 3 });
    expect((await millrace(['operations', 'cancel', 'bop_1'])).out).toContain('COMPLETED  3 of 3: there is nothing left to cancel');
    expect(await millrace(['operations', 'cancel', 'bop_x'])).toMatchObject({ code: 1, notes: 'There is no bulk operation bop_x' });
  });

  test('what makes no sense is refused by its field, and a moment or a rate that is none by its option', async () => {
    for (const rate of ['0', '5000']) {
      const refused = await millrace(['redeliver', '--rate', rate]);
      expect(refused).toMatchObject({ code: 2, notes: expect.stringContaining('It is from 1 to 1000.') as string });
    }
    expect((await millrace(['redeliver', '--help'])).out).not.toContain('--events');
    expect((await millrace(['replay', '--from', 'yesterday'])).code).toBe(2);
    expect((await millrace(['replay', '--rate', 'fast'])).code).toBe(2);
  });

  test('an option that would be ignored is refused, because more would happen than was asked for', async () => {
    expect(await millrace(['replay', '--type', 'invoice.*'])).toMatchObject({ code: 2, notes: '--type goes with --events' });
    expect((await millrace(['replay', '--events', '--code', 'model.refused'])).code).toBe(2);
    expect((await millrace(['redeliver', '--state', 'delivered', '--code', 'delivery.timeout'])).code).toBe(2);
  });
});

describe('dead letters', () => {
  beforeEach(async () => {
    await createTenant();
    const { rows } = server;
    await rows.event({ tenant, id: 'evt_1', customer: 'cus-9' });
    await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'failed' });
    const createdAt = new Date('2026-11-20T10:00:00Z');
    await rows.deadLetter({ tenant, id: 'dlq_1', kind: 'run', event: 'evt_1', run: 'run_1', createdAt });
    await rows.deadLetter({ tenant, id: 'dlq_settled', kind: 'run', event: 'evt_1', run: 'run_1', resolved: true });
    await rows.hold({ tenant, customer: 'cus-1', deadLetter: 'dlq_1', records: 3 });
  });

  test('are listed with what waits behind them, the resolved ones are not', async () => {
    const line = /^2026-11-20T10:00:00.000Z  dlq_1  RUN  cus-1  evt_1  holds 3 in flows  \S+: .+$/;
    expect((await millrace(['dead-letters'])).out).toMatch(line);
    expect((await millrace(['dead-letters', 'list', '--customer', 'cus-1'])).out).toMatch(line);
    expect((await millrace(['dead-letters', 'list', '--code', 'model.none'])).out).toBe('');
  });

  test.each(['retry', 'skip'])('can be settled by %s once, and one that is settled or that nobody knows is refused', async (settle) => {
    expect(await millrace(['dead-letters', settle, 'dlq_1'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^dlq_1 is /) as string,
    });
    expect(await millrace(['dead-letters', settle, 'dlq_settled'])).toMatchObject({
      code: 1,
      notes: expect.stringContaining('is resolved already') as string,
    });
    expect(await millrace(['dead-letters', settle, 'dlq_x'])).toMatchObject({ code: 1, notes: 'There is no dead letter dlq_x' });
    expect((await millrace(['dead-letters', settle])).code).toBe(2);
  });
});

test('runs are printed with what those wait for that do not go on', async () => {
  await createTenant();
  const { rows } = server;
  const startedAt = new Date('2026-11-20T10:00:00Z');
  const endsAt = new Date('2026-12-01T00:00:00Z');
  await rows.event({ tenant, id: 'evt_1' });
  await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'running', startedAt });
  await rows.runDelay({ tenant, run: 'run_1', event: 'evt_1', budget: 'month', endsAt });
  await rows.run({ tenant, id: 'run_2', event: 'evt_1', state: 'failed', generation: 1, startedAt });
  expect((await millrace(['runs'])).out.split('\n')).toEqual([
    '2026-11-20T10:00:00.000Z  run_2  triage 1  generation 1  FAILED  evt_1  cus-1  model.refused: The model refused',
    '2026-11-20T10:00:00.000Z  run_1  triage 1  generation 0  RUNNING  evt_1  cus-1  has to wait since 2026-11-20T10:00:01.000Z: The budget month is spent  [model.budgetSpent]',
  ]);
  expect(await millrace(['runs', '--state', 'failed', '--first', '1'])).toMatchObject({
    out: expect.stringContaining('run_2') as string,
    notes: '',
  });
  expect(await millrace(['runs', '--first', '1'])).toMatchObject({ notes: 'There are more, older ones: --first prints more.' });
});

test('a run is printed with its steps, what it waits for, its decision, and what happened in it', async () => {
  await createTenant();
  const { rows } = server;
  const startedAt = new Date('2026-11-20T10:00:00Z');
  await rows.event({ tenant, id: 'evt_1' });
  await rows.run({ tenant, id: 'run_1', event: 'evt_1', startedAt });
  await rows.run({ tenant, id: 'run_2', event: 'evt_1', state: 'running', generation: 1, startedAt });
  await rows.runDelay({ tenant, run: 'run_2', event: 'evt_1', budget: 'month', endsAt: new Date('2026-12-01T00:00:00Z') });
  await rows.delivery({ tenant, id: 'dlv_1', run: 'run_1', event: 'evt_1' });
  const { code, out } = await millrace(['runs', 'get', 'run_1']);
  expect([code, out.split('\n')[0]]).toEqual([0, '2026-11-20T10:00:00.000Z  run_1  triage 1  generation 0  COMPLETED  evt_1  cus-1']);
  for (const line of [
    '  decision  {"queue":"billing"}',
    '  cost      1.25 EUR',
    '  delivery  dlv_1  to crm  ',
    '\nsteps\n  2026-11-20T10:00:00.010Z  assess  infer  succeeded  ',
    '\ntimeline\n  2026-11-20T10:00:00.000Z  ',
  ])
    expect(out).toContain(line);
  expect((await millrace(['runs', 'get', 'run_2'])).out).toContain('has to wait since 2026-11-20T10:00:01.000Z: The budget month is spent');
  const json = JSON.parse((await millrace(['--json', 'runs', 'get', 'run_2'])).out) as { timeline: { runId: string }[] };
  expect(json).toMatchObject({ id: 'run_2', steps: [{ id: 'assess' }], waitingFor: { budget: 'month' }, event: { id: 'evt_1' } });
  expect(new Set(json.timeline.map(({ runId }) => runId))).toEqual(new Set(['run_2']));
  expect(await millrace(['runs', 'get', 'run_x'])).toMatchObject({ code: 1, notes: 'There is no run run_x' });
});

test('events are replayed by their ids, and a delivery is tried again; an id that nobody knows is refused', async () => {
  await createTenant();
  const { rows } = server;
  for (const id of ['evt_1', 'evt_2']) await rows.event({ tenant, id });
  await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'completed' });
  await rows.delivery({ tenant, id: 'dlv_1', run: 'run_1', event: 'evt_1', state: 'parked' });
  expect(await millrace(['events', 'replay', 'evt_1', 'evt_2'])).toMatchObject({
    code: 0,
    out: 'evt_1 is replayed; millrace events get evt_1 shows what comes of it.\nevt_2 is replayed; millrace events get evt_2 shows what comes of it.',
  });
  expect(await millrace(['events', 'replay', 'evt_x'])).toMatchObject({ code: 1, notes: expect.stringContaining('evt_x') as string });
  const wrong = await millrace(['events', 'replay', 'evt_1', '--flow', 'nosuch']);
  expect(wrong).toMatchObject({ code: 1, notes: expect.stringContaining('nosuch') as string });
  const again = await millrace(['deliveries', 'redeliver', 'dlv_1', '--even-if-taken']);
  expect(again).toMatchObject({ code: 0, out: 'dlv_1 is tried again; the timeline of its event shows what comes of it.' });
  expect(await millrace(['deliveries', 'redeliver', 'dlv_x'])).toMatchObject({ code: 1, notes: 'There is no delivery dlv_x' });
});

test('a run that waits is cancelled with a reason; one that ended or that nobody knows is refused', async () => {
  await createTenant();
  const { rows } = server;
  await rows.event({ tenant, id: 'evt_1' });
  await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'waiting' });
  await rows.run({ tenant, id: 'run_2', event: 'evt_1', state: 'completed', generation: 1 });
  expect(await millrace(['runs', 'cancel', 'run_1', '--reason', 'asked twice'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^run_1 ends as soon as no process works on it/) as string,
  });
  expect(await millrace(['--json', 'runs', 'cancel', 'run_1'])).toMatchObject({
    code: 0,
    out: expect.stringContaining('"commandId":') as string,
  });
  expect(await millrace(['runs', 'cancel', 'run_2'])).toMatchObject({ code: 1, notes: expect.stringContaining('run_2') as string });
  expect(await millrace(['runs', 'cancel', 'run_x'])).toMatchObject({ code: 1, notes: 'There is no run run_x' });
});

describe('reviews', () => {
  beforeEach(async () => {
    await createTenant();
    const { rows } = server;
    const askedAt = new Date('2026-11-20T10:00:00Z');
    const schema = { type: 'object', properties: { amount: { maximum: 100 } } };
    await rows.event({ tenant, id: 'evt_1' });
    await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'waiting' });
    const review = { tenant, run: 'run_1', event: 'evt_1', askedAt, expiresAt: new Date(Date.now() + 86_400_000) };
    await rows.review({ ...review, id: 'rev_1', schema, proposal: { amount: 90 } });
    await rows.review({ ...review, id: 'rev_2', step: 'other', escalated: true, priority: 9 });
  });

  test('are listed in the order of the queue, and shown with all that a person needs', async () => {
    const { out } = await millrace(['reviews']);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(
        /^2026-11-20T10:00:00.000Z  rev_2  triage  cus-1  PENDING  priority 9  escalated  until \S+Z  The amount is high$/,
      ),
      expect.stringMatching(/^2026-11-20T10:00:00.000Z  rev_1  triage  cus-1  PENDING  priority 5  until \S+Z  The amount is high$/),
    ]);
    expect((await millrace(['reviews', '--escalated'])).out.split('\n')).toHaveLength(1);
    expect((await millrace(['reviews', 'show', 'rev_1'])).out.split('\n').slice(1)).toEqual([
      '  event     evt_1',
      '  step      approval',
      '  proposal  {"amount":90}',
      '  default   {"amount":0}',
      '  schema    {"type":"object","properties":{"amount":{"maximum":100}}}',
    ]);
    expect(await millrace(['reviews', 'show', 'rev_x'])).toMatchObject({ code: 1, notes: 'There is no review rev_x' });
  });

  test('are claimed, given back and decided; whoever comes too late is told why', async () => {
    expect((await millrace(['reviews', 'claim', 'rev_1', '--as', 'Ada'])).out).toMatch(/^rev_1 is yours until \S+Z\.$/);
    const taken = /^<id>: names a review that somebody else has: rev_1 is claimed by Ada \(operator\) until /;
    expect(await millrace(['reviews', 'approve', 'rev_1'])).toMatchObject({ code: 1, notes: expect.stringMatching(taken) as string });
    expect((await millrace(['reviews', 'release', 'rev_1', '--as', 'Ada'])).out).toBe('rev_1 waits for somebody again.');
    const wrong = await millrace(['reviews', 'correct', 'rev_1', '{"amount":101}']);
    expect(wrong).toMatchObject({ code: 1, notes: '<value>: /amount must be <= 100' });
    expect(await millrace(['reviews', 'correct', 'rev_1', 'amount'])).toMatchObject({ code: 2, notes: 'The value is not JSON: amount' });
    expect((await millrace(['reviews', 'correct', 'rev_1', '{"amount":7}', '--as', 'Ada'])).out).toBe(
      'rev_1 is corrected. Its run goes on.',
    );
    expect((await millrace(['reviews', 'reject', 'rev_2'])).code).toBe(2);
    expect((await millrace(['reviews', 'reject', 'rev_2', '--reason', 'no'])).out).toBe('rev_2 is rejected. Its run goes on.');
    const late = /^<id>: names a review that is open no more: rev_1 is corrected by Ada \(operator\) at /;
    expect(await millrace(['reviews', 'approve', 'rev_1'])).toMatchObject({ code: 1, notes: expect.stringMatching(late) as string });
    expect((await millrace(['reviews'])).out).toBe('');
    expect((await millrace(['reviews', '--all'])).out).toMatch(/rev_1 .* CORRECTED  by Ada/);
  });
});

describe('connections and connectors', () => {
  let login: AuthorizationServer;
  beforeAll(async () => {
    login = await startAuthorizationServer();
  });
  afterAll(() => login.stop());

  /** A system that answers with these statuses, one after the other, then with 200. */
  async function startSystem(...statuses: number[]): Promise<string> {
    const system = createServer((_, outgoing) => outgoing.writeHead(statuses.shift() ?? 200).end());
    system.listen(0, '127.0.0.1');
    await once(system, 'listening');
    onTestFinished(() => void system.close());
    return `http://127.0.0.1:${(system.address() as AddressInfo).port}`;
  }
  const connect = async (base: string, auth: object): Promise<void> => {
    await createTenant();
    const metadata = { tenant, name: 'crm' };
    const document = { apiVersion: 'millrace/v1', kind: 'Connection', metadata, spec: { connector: 'rest', settings: { base }, auth } };
    expect(await millrace(['apply', '-f', file('crm.json', JSON.stringify(document))])).toMatchObject({ code: 0 });
  };

  test('a connection is tested and listed with its state; a refused credential fails the command', async () => {
    await connect(await startSystem(200, 401), { kind: 'bearer', token: { value: 'token-12345678' } });
    expect(await millrace(['connections', 'test', 'crm'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^crm: The system took the credential \(\d+ ms\); it is connected$/) as string,
    });
    const refused = await millrace(['connections', 'test', 'crm']);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.notes).toContain('The system refused the credential with status 401');
    const { out } = await millrace(['connections']);
    expect(out).toMatch(/^crm {2}degraded {2}rest {2}bearer {2}/);
    expect(out).not.toContain('token-12345678');
    expect((await millrace(['connections', 'test', 'none'])).code).toBe(1);
  });

  test('a connection by consent prints the address for a person, and is disconnected', async () => {
    const { clientId, clientSecret, url: issuer } = login;
    const auth = {
      kind: 'oauth2',
      grant: 'authorizationCode',
      issuer,
      clientId,
      clientSecret: { value: clientSecret },
      scopes: ['openid'],
    };
    await connect(await startSystem(), auth);
    const begun = await millrace(['connections', 'authorize', 'crm']);
    expect(begun.code).toBe(0);
    expect(new URL(begun.out).searchParams.get('code_challenge_method')).toBe('S256');
    expect(begun.notes).toMatch(/give consent before 20/);
    await fetch(`${server.url}/connections/callback${new URL(await login.consent(begun.out)).search}`);
    expect((await millrace(['connections', 'list'])).out).toMatch(/^crm {2}connected {2}rest {2}oauth2 authorizationCode {2}/);
    expect((await millrace(['connections', 'disconnect', 'crm'])).out).toContain('crm is disconnected');
    expect((await millrace(['connections', 'list'])).out).toMatch(/^crm {2}disabled/);
  });

  test('connectors are listed with the promise of each operation', async () => {
    await createTenant();
    const { out, notes } = await millrace(['connectors']);
    expect(notes).toMatch(/^stripe: /m);
    expect(out).toMatch(/^stripe createCustomer: .* Takes effect once/m);
    expect(out).toMatch(/^rest read: .* Only reads\.$/m);
  });
});

describe('the connection', () => {
  test('comes from the credentials that npm start leaves in the directory', async () => {
    mkdirSync(join(directory, '.millrace'));
    file('.millrace/credentials.json', JSON.stringify({ url: server.url, tenant, apiKey: 'mr_x', operatorKey: server.operatorKey }));
    await server.rows.event({ tenant, id: 'evt_file' });
    expect(await millrace(['events', 'get', 'evt_file'], { environment: {} })).toMatchObject({ code: 0 });
  });

  test('without a key, with a wrong one, or without a server, the command ends with 2 and says what to do', async () => {
    expect(await millrace(['get', 'flows'], { environment: {} })).toMatchObject({
      code: 2,
      notes: expect.stringContaining('set MILLRACE_API_KEY') as string,
    });
    const environment = { MILLRACE_URL: server.url, MILLRACE_API_KEY: 'mr_test_nope' };
    expect(await millrace(['get', 'flows'], { environment })).toMatchObject({
      code: 2,
      notes: expect.stringContaining('unknown, revoked or expired') as string,
    });
    expect(await millrace(['events', 'tail'], { environment })).toMatchObject({
      code: 2,
      notes: 'The key from MILLRACE_API_KEY is unknown, revoked or expired',
    });
    const nobody = { ...environment, MILLRACE_URL: 'http://127.0.0.1:9' };
    for (const command of [
      ['get', 'flows'],
      ['events', 'tail'],
    ]) {
      expect(await millrace(command, { environment: nobody })).toMatchObject({
        code: 2,
        notes: expect.stringContaining('does not answer at') as string,
      });
    }
  });

  test('what is wrong with the key or the tenant is told by the option or the variable that it came from', async () => {
    const key = await server.key(tenant, 'read');
    const notes = async (environment: Record<string, string>, ...args: string[]): Promise<string> => {
      const connected = { environment: { MILLRACE_URL: server.url, ...environment } };
      const [asked, tailed] = [
        await millrace([...args, 'get', 'flows'], connected),
        await millrace([...args, 'events', 'tail'], connected),
      ];
      expect([asked.code, tailed]).toEqual([2, asked]);
      return asked.notes;
    };
    expect(await notes({ MILLRACE_API_KEY: server.operatorKey })).toBe(
      'The operator’s key acts in one tenant: give --tenant, or set MILLRACE_TENANT',
    );
    expect(await notes({ MILLRACE_API_KEY: key }, '--tenant', 'another')).toBe(
      'The key from MILLRACE_API_KEY belongs to another tenant than --tenant names; a tenant’s key needs no --tenant',
    );
    expect(await notes({ MILLRACE_TENANT: tenant }, '--key', 'not-the-operators')).toBe(
      'The key from --key is unknown, revoked or expired. It has not the form of an API key (mr_…); an operator’s key must be the OPERATOR_KEY of query',
    );
    expect(await notes({ MILLRACE_API_KEY: 'mr_secret\nmr_secret' })).toBe(
      'The key from MILLRACE_API_KEY has spaces, line breaks or other characters that no key has',
    );
    expect(await notes({ MILLRACE_API_KEY: key, MILLRACE_TENANT: 'Ä' })).toBe(
      "MILLRACE_TENANT must be 1 to 63 lower-case letters, digits or inner dashes; it is 'Ä'",
    );
    expect(await notes({}, '--key', '')).toBe('--key is empty');
  });

  test('a key that was given goes to no address from a file', async () => {
    mkdirSync(join(directory, '.millrace'));
    file('.millrace/credentials.json', JSON.stringify({ url: server.url, tenant, apiKey: 'mr_x', operatorKey: server.operatorKey }));
    const elsewhere = await millrace(['--key', server.operatorKey, '--tenant', tenant, 'get', 'flows'], {
      environment: { MILLRACE_URL: 'http://127.0.0.1:9' },
    });
    expect(elsewhere.notes).toContain('does not answer at http://127.0.0.1:9');
    const given = { environment: {}, directory, door: 'query' } as const;
    expect(connectionOf({}, given).url).toBe(server.url);
    expect(connectionOf({ key: 'mr_y' }, given)).toMatchObject({ url: defaultUrl, tenant: undefined });
    expect(hintAt(connectionOf({ key: 'mr_y' }, given))).toBe(
      `; .millrace/credentials.json is for ${server.url}: if that is meant, give it by --url`,
    );
    expect(hintAt(connectionOf({ key: 'mr_y', url: server.url }, given))).toBe('');
    const { out } = await millrace(['--help']);
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'else MILLRACE_URL; else, with the key, from the credentials file; else http://127.0.0.1:8080',
    );
    expect(out).toContain('The credentials file is .millrace/credentials.json, or credentials.json in the folder MILLRACE_DIRECTORY');
  });

  test('the keys of the credentials file go to the address of the file only, whatever names another one', async () => {
    mkdirSync(join(directory, '.millrace'));
    const [home, elsewhere] = [await recordingServer(), await recordingServer()];
    file('.millrace/credentials.json', JSON.stringify({ url: home.url, tenant, apiKey: 'mr_x', operatorKey: 'the-operator' }));
    const name = join(directory, 'event.json');
    file('event.json', '{}');
    for (const command of [
      ['events', 'list'],
      ['events', 'tail'],
      ['events', 'send', '-f', name],
    ]) {
      const byOption = await millrace(['--url', elsewhere.url, ...command], { environment: {} });
      expect(byOption).toMatchObject({
        code: 2,
        notes: `The keys in .millrace/credentials.json are for ${home.url}, and are not sent to ${elsewhere.url}, which --url names: give a key for ${elsewhere.url} by --key or MILLRACE_API_KEY`,
      });
      const byVariable = await millrace(command, { environment: { MILLRACE_URL: elsewhere.url } });
      expect(byVariable).toMatchObject({ code: 2, notes: expect.stringContaining('which MILLRACE_URL names') as string });
    }
    expect(elsewhere.authorizations).toEqual([]);
    await millrace(['--url', `${home.url}/`, 'events', 'list'], { environment: {} });
    expect(home.authorizations).toEqual(['Bearer the-operator']);
    await millrace(['--url', elsewhere.url, '--key', 'given', 'events', 'list'], { environment: {} });
    expect(elsewhere.authorizations).toEqual(['Bearer given']);
  });

  test('a redirect is not followed: documents and keys go only where the operator said', async () => {
    const target = await recordingServer();
    const redirecting = await recordingServer((response) => response.writeHead(307, { location: `${target.url}/graphql` }).end());
    const name = join(directory, 'event.json');
    file('event.json', '{}');
    for (const command of [
      ['apply', '-f', file('all.yaml', documents())],
      ['events', 'tail'],
      ['events', 'send', '-f', name],
    ]) {
      expect(await millrace(['--url', redirecting.url, ...command])).toMatchObject({
        code: 2,
        notes: expect.stringMatching(/ answered with a redirect to .* give that address by --url$/) as string,
      });
    }
    expect(target.authorizations).toEqual([]);
  });

  test('an https address where plain HTTP is spoken is told so', async () => {
    expect(await millrace(['--url', server.url.replace('http', 'https'), 'events', 'list'])).toMatchObject({
      code: 2,
      notes: expect.stringContaining(`there is no TLS at this address; ${server.url} may be meant`) as string,
    });
  });

  test('an address with parts that would be ignored is refused, without repeating a password', async () => {
    for (const [given, reason] of [
      [`${server.url}/foo`, "without a path: Millrace is at the root of its address. Leave out '/foo'"],
      [`${server.url}/?a=b`, "Leave out '/?a=b'"],
      [server.url.replace('//', '//me:hunter2@'), 'without a user or password'],
      ['127.0.0.1:8080', "--url must be an address such as http://127.0.0.1:8080; it is '127.0.0.1:8080'"],
    ] as const) {
      const { code, notes } = await millrace(['--url', given, 'events', 'list']);
      expect([code, notes]).toEqual([2, expect.stringContaining(reason)]);
      expect(notes).not.toContain('hunter2');
    }
  });

  test('a command line that cannot be read ends with 2, and --help with 0', async () => {
    expect((await millrace(['apply'])).code).toBe(2);
    expect((await millrace(['get', 'things'])).code).toBe(2);
    expect(await millrace(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('Usage: millrace') as string });
  });
});

test('the package names the launcher, and the launcher can be run', () => {
  const { bin } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { bin: { millrace: string } };
  expect(readFileSync(new URL(`../../../${bin.millrace}`, import.meta.url), 'utf8')).toMatch(/^#!\/bin\/sh\n/);
});
