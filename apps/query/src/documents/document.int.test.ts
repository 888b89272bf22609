import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { documentKinds } from '#libs/contracts';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';
import { DocumentService } from './document.service.js';

let server: QueryServer;
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const document = (tenant: string, kind: string, name: string, spec: object) => ({
  apiVersion: 'millrace/v1',
  kind,
  metadata: kind === 'Tenant' ? { name } : { tenant, name },
  spec,
});
const all = (tenant: string, url = 'https://crm.example/hook') => [
  document(tenant, 'Tenant', tenant, { displayName: 'Acme' }),
  document(tenant, 'Flow', 'triage', {
    steps: [
      { id: 'note', map: { expression: 'event.type' } },
      { id: 'tell', deliver: { destination: 'crm' } },
    ],
  }),
  document(tenant, 'Destination', 'crm', { kind: 'http', url, secret: { value: secret } }),
];

interface Applied {
  applyDocuments: {
    __typename: string;
    changes?: { kind: string; change: string; version: number; differences: { path: string; before: unknown; after: unknown }[] }[];
    warnings?: { path: string[]; message: string }[];
    violations?: { path: string[]; message: string }[];
  };
}
const mutation = `mutation ($documents: [JSON!]!, $dryRun: Boolean!) { applyDocuments(input: { documents: $documents, dryRun: $dryRun }) {
  __typename
  ... on ApplyDocumentsSuccess { changes { kind change version differences { path before after } } warnings { path message } }
  ... on ValidationError { violations { path message } }
} }`;

async function apply(tenant: string, documents: object[], dryRun = false): Promise<Applied['applyDocuments']> {
  return (await server.data<Applied>({ operatorIn: tenant }, mutation, { documents, dryRun })).applyDocuments;
}
const changes = ({ changes: found }: Applied['applyDocuments']) =>
  found?.map(({ kind, change, version }) => `${kind} ${change} ${version}`);

test('an apply whose caller has left changes nothing', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, [document(tenant, 'Tenant', tenant, { displayName: 'Acme' })]);
  const answered = async (): Promise<number> => {
    const line = /^millrace_graphql_request_duration_seconds_count\{operation="mutation"\} (\d+)$/m;
    return Number(line.exec(await (await fetch(`${server.url}/metrics`)).text())![1]);
  };
  const before = await answered();
  const flows = Array.from({ length: 50 }, (_, at) =>
    document(tenant, 'Flow', `flow-${at}`, { steps: [{ id: 'a', map: { expression: '1' } }] }),
  );
  const leaving = request(`${server.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.operatorKey}`, 'millrace-tenant': tenant, 'content-type': 'application/json' },
  });
  leaving.on('error', () => undefined);
  leaving.end(JSON.stringify({ query: mutation, variables: { documents: flows, dryRun: false } }), () => leaving.destroy());
  await waitFor(async () => (await answered()) > before, { what: 'the end of the apply' });
  const { documents } = await server.data<{ documents: object[] }>({ operatorIn: tenant }, '{ documents(kind: Flow) { name } }');
  expect(documents).toEqual([]);
});

test('an apply that takes longer than a request may changes nothing after its answer', async () => {
  const slow = await QueryServer.start({ graphqlTimeoutMs: 50 });
  try {
    const tenant = uniqueName('tenant');
    const applied = vi.spyOn(slow.part(DocumentService), 'apply');
    const alternatives = Array.from({ length: 100 }, (_, at) => ({ pattern: `^a{${at}}$` })); // each schema takes some 20 ms to compile
    const flows = Array.from({ length: 50 }, (_, at) =>
      document(tenant, 'Flow', `flow-${at}`, { steps: [{ id: 'a', validate: { input: 'event', schema: { anyOf: alternatives } } }] }),
    );
    const { status } = await slow.ask({ operatorIn: tenant }, mutation, { documents: flows, dryRun: false });
    expect(status).toBe(503);
    await expect(applied.mock.results[0]!.value).rejects.toThrow('nothing was changed');
  } finally {
    await slow.stop();
  }
});

test('an apply that nobody waits for ends at its first document, readable or not', async () => {
  const principal = { keyId: 'k', tenant: uniqueName('tenant'), scopes: ['admin' as const], actor: 'key:k' };
  let asked = 0;
  const hasLeft = (): boolean => (asked += 1) > 0;
  const input = { documents: [{}, {}, {}], dryRun: true, expectedVersions: [], remove: [] };
  await expect(server.part(DocumentService).apply(principal, input, hasLeft)).rejects.toThrow('nothing was changed');
  expect(asked).toBe(1);
});

test('documents are created, then unchanged, then changed with what is different', async () => {
  const tenant = uniqueName('tenant');
  expect(changes(await apply(tenant, all(tenant)))).toEqual(['Tenant CREATED 1', 'Flow CREATED 1', 'Destination CREATED 1']);
  expect(changes(await apply(tenant, all(tenant)))).toEqual(['Tenant UNCHANGED 1', 'Flow UNCHANGED 1', 'Destination UNCHANGED 1']);
  const changed = await apply(tenant, all(tenant, 'https://new.example/hook'));
  expect(changes(changed)).toEqual(['Tenant UNCHANGED 1', 'Flow UNCHANGED 1', 'Destination CHANGED 2']);
  expect(changed.changes?.[2]?.differences).toEqual([
    { path: 'spec.url', before: 'https://crm.example/hook', after: 'https://new.example/hook' },
  ]);
});

test('a dry run says what would be, and changes nothing', async () => {
  const tenant = uniqueName('tenant');
  expect(changes(await apply(tenant, all(tenant), true))).toEqual(['Tenant CREATED 1', 'Flow CREATED 1', 'Destination CREATED 1']);
  expect(await server.data({ operatorIn: tenant }, '{ documents { name } }')).toEqual({ documents: [] });
});

test('what comes out can be applied again: secrets are encrypted, and stay the same', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, all(tenant));
  const { documents } = await server.data<{ documents: { content: object }[] }>({ operatorIn: tenant }, '{ documents { content } }');
  const contents = documents.map(({ content }) => content);
  expect(JSON.stringify(contents)).not.toContain(secret);
  expect(changes(await apply(tenant, contents))).toEqual(['Destination UNCHANGED 1', 'Flow UNCHANGED 1', 'Tenant UNCHANGED 1']);
});

test('another secret is a difference of fingerprints, never of secrets', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, all(tenant));
  const other = document(tenant, 'Destination', 'crm', {
    kind: 'http',
    url: 'https://crm.example/hook',
    secret: { value: `${secret}AAAA` },
  });
  const { changes: [change] = [] } = await apply(tenant, [other]);
  expect(change?.differences.map(({ path }) => path)).toEqual(['spec.secret.fingerprint']);
  expect(JSON.stringify(change)).not.toContain('whsec_');
});

test('an encrypted secret of another tenant, document or field is refused, whoever brings it', async () => {
  const [owner, thief] = [uniqueName('tenant'), uniqueName('tenant')];
  await apply(owner, all(owner));
  const { document: stolen } = await server.data<{ document: { content: { spec: { secret: object } } } }>(
    { operatorIn: owner },
    '{ document(kind: Destination, name: "crm") { content } }',
  );
  const { secret: sealed } = stolen.content.spec;
  const at = (tenant: string, kind: string, name: string, spec: object) =>
    apply(tenant, [all(tenant)[0]!, document(tenant, kind, name, spec)]);
  const refusals = [
    await at(thief, 'Destination', 'crm', { kind: 'http', url: 'https://thief.example/', secret: sealed }),
    await at(owner, 'Destination', 'other', { kind: 'http', url: 'https://thief.example/', secret: sealed }),
    await at(owner, 'Source', 'crm', { scheme: 'github', secrets: [sealed] }),
  ];
  const message = 'was not encrypted by this installation for this field of this document; write { value: … }';
  expect(refusals.map(({ violations }) => violations?.map((one) => one.message))).toEqual([[message], [message], [message]]);
});

test('credentials in the address and headers of a destination are not given out, and a change of one is a difference of fingerprints', async () => {
  const tenant = uniqueName('tenant');
  const crm = (authorization: string, url: string) =>
    document(tenant, 'Destination', 'crm', { kind: 'http', url, secret: { value: secret }, headers: { authorization, 'x-region': 'eu' } });
  const url = 'https://crm.example/hook?api_key=';
  await apply(tenant, [all(tenant)[0]!, crm('Bearer one', `${url}one`)]);
  const { documents } = await server.data<{ documents: { content: { kind: string; spec: object } }[] }>(
    { operatorIn: tenant },
    '{ documents { content } }',
  );
  const content = documents.map((one) => one.content).find(({ kind }) => kind === 'Destination');
  expect(content?.spec).toMatchObject({ headers: { 'x-region': 'eu', authorization: { sealed: expect.any(String) as string } } });
  expect(JSON.stringify(documents)).not.toMatch(/one"|Bearer|api_key/);
  expect(changes(await apply(tenant, [content!]))).toEqual(['Destination UNCHANGED 1']);
  const changed = await apply(tenant, [crm('Bearer two', `${url}two`)]);
  expect(changed.changes?.[0]?.differences.map(({ path }) => path)).toEqual([
    'spec.url.fingerprint',
    'spec.headers.authorization.fingerprint',
  ]);
  expect(JSON.stringify(changed)).not.toMatch(/one"|two"|Bearer/);
});

test('of documents with mistakes none is saved, and every mistake is named by its place', async () => {
  const tenant = uniqueName('tenant');
  const [owner, flow, destination] = all(tenant);
  const broken = { ...destination!, spec: { kind: 'http', url: 'ftp://x', secret: { sealed: 'v2.a.b', fingerprint: 'f' } } };
  const refused = await apply(tenant, [owner!, broken, flow!, flow!, { kind: 'Flo' }]);
  expect(refused.violations?.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
    'input.documents.1.spec.url: must be an http or https address',
    `input.documents.3.metadata.name: is given twice: ${tenant}/Flow/triage`,
    `input.documents.4.kind: must be one of ${documentKinds.join(', ')}; did you mean Flow?`,
  ]);
  const unopened = await apply(tenant, [owner!, { ...broken, spec: { ...broken.spec, url: 'https://x.example' } }]);
  expect(unopened.violations).toEqual([
    {
      path: ['input', 'documents', '1', 'spec', 'secret'],
      message: 'was not encrypted by this installation for this field of this document; write { value: … }',
    },
  ]);
  expect(await server.data({ operatorIn: tenant }, '{ documents { name } }')).toEqual({ documents: [] });
});

test('what is wrong with a document is told at once, however deep it lies, and beside what is wrong with others', async () => {
  const tenant = uniqueName('tenant');
  const [owner] = all(tenant);
  const invalid = {
    on: { sources: ['nosuch', 'shop'] },
    steps: [
      { id: 'a', map: { expression: 'event.(' } },
      { id: 'b', infr: {} },
    ],
  };
  const refused = await apply(tenant, [
    document(tenant, 'Flow', 'invalid', invalid),
    document(tenant, 'Flow', 'valid', { on: { sources: ['shp', 'broken'] }, steps: [{ id: 'a', call: { flow: 'invalid' } }] }),
    document(tenant, 'Source', 'shop', { scheme: 'api-key', type: 'body.(' }),
    document(tenant, 'Source', 'broken', { scheme: 'strip' }),
    document(tenant, 'Destination', 'cards', { kind: 'operation', connection: 'stripe', operation: 'createRefud', input: 'payload' }),
    document(tenant, 'Connection', 'stripe', { connector: 'stripe', auth: { kind: 'bearer', token: { value: 'sk_test_1' } } }),
    document(tenant, 'Connection', 'other', { connector: 'strpe', auth: { kind: 'none' } }),
    owner!,
  ]);
  const told = refused.violations!.map(({ path, message }) => `${path.slice(2).join('.')}: ${message}`);
  expect(told.map((one) => one.replace(/must be one of .*;/, 'must be one of …;').replace(/ \((?:at|it has|Millrace).*$/, ''))).toEqual([
    '0.spec.steps.1.infr: is not a field that belongs here; did you mean infer?',
    '0.spec.steps.1: must have exactly one of branch, call, deliver, enrich, forEach, infer, map, review, validate, wait; it has none',
    '0.spec.steps.0.map.expression: Expected ")" before end of expression',
    '0.spec.on.sources.0: names no source or schedule or pull of this tenant: nosuch',
    '1.spec.on.sources.0: names no source or schedule or pull of this tenant: shp; did you mean shop?',
    '2.spec.type: Expected ")" before end of expression',
    '3.spec.scheme: must be one of …; did you mean stripe?',
    '4.spec.operation: names no operation of stripe: createRefud; did you mean createRefund?',
    '6.spec.connector: names no connector of Millrace or of this tenant: strpe; did you mean stripe?',
  ]);
});

test('a flow that would call itself through flows that are stored is refused with the way back', async () => {
  const tenant = uniqueName('tenant');
  const calling = (name: string, flow?: string): object =>
    document(tenant, 'Flow', name, { steps: [flow === undefined ? { id: 'a', map: { expression: '1' } } : { id: 'a', call: { flow } }] });
  const [owner] = all(tenant);
  await apply(tenant, [owner!, calling('first', 'second'), calling('second', 'third'), calling('third')]);
  const refused = await apply(tenant, [calling('third', 'first')]);
  expect(refused.violations).toEqual([
    {
      path: ['input', 'documents', '0', 'spec', 'steps', '0', 'call', 'flow'],
      message: 'calls the flow itself: third → first → second → third; a flow must not call itself, directly or through others',
    },
  ]);
});

test('a flow may name what is stored or what comes with it, and nothing else', async () => {
  const tenant = uniqueName('tenant');
  const [owner, flow, destination] = all(tenant);
  const refused = await apply(tenant, [owner!, flow!]);
  expect(refused.violations).toEqual([
    {
      path: ['input', 'documents', '1', 'spec', 'steps', '1', 'deliver', 'destination'],
      message: 'names no destination of this tenant: crm',
    },
  ]);
  const homeless = await apply(tenant, [destination!]);
  expect(homeless.violations?.[0]?.message).toContain(`names no tenant: ${tenant}`);
  await apply(tenant, [owner!, destination!]);
  expect(changes(await apply(tenant, [flow!]))).toEqual(['Flow CREATED 1']);
});

test('what is allowed and perhaps a mistake is applied with a warning', async () => {
  const tenant = uniqueName('tenant');
  const short = document(tenant, 'Source', 'hub', { scheme: 'github', secrets: [{ value: '12345' }] });
  const applied = await apply(tenant, [all(tenant)[0]!, short]);
  expect(changes(applied)).toEqual(['Tenant CREATED 1', 'Source CREATED 1']);
  expect(applied.warnings).toEqual([
    { path: ['documents', '1', 'spec', 'secrets', '0'], message: 'has fewer than 16 characters: whoever guesses it can send events' },
  ]);
  expect((await apply(tenant, all(tenant))).warnings).toEqual([]);
});

test('an address that a model chooses is applied with a warning, also if the destination that has it was applied before', async () => {
  const tenant = uniqueName('tenant');
  const mail = [
    document(tenant, 'Tenant', tenant, { displayName: 'Acme' }),
    document(tenant, 'Connection', 'mail', { connector: 'smtp', settings: { host: 'mail.example' }, auth: { kind: 'none' } }),
    document(tenant, 'Destination', 'mails', { kind: 'operation', connection: 'mail', operation: 'send' }),
  ];
  expect((await apply(tenant, mail)).warnings).toEqual([]);
  const flow = document(tenant, 'Flow', 'answer', {
    steps: [
      { id: 'draft', infer: { model: 'm', instructions: 'Draft.', output: { type: 'object', properties: { to: {}, text: {} } } } },
      { id: 'send', deliver: { destination: 'mails', payload: '{ "to": steps.draft.to, "subject": "s", "text": steps.draft.text }' } },
    ],
  });
  const warning = {
    path: ['documents', '0', 'spec', 'steps', '1', 'deliver', 'payload'],
    message: expect.stringContaining('lets a model choose where mails (send) goes: to comes from what it wrote (steps.draft.to)') as string,
  };
  expect((await apply(tenant, [flow], true)).warnings).toEqual([warning]);
  expect((await apply(tenant, [flow])).warnings).toEqual([warning]);
});

test('a connection to another host than its connector names is refused, or applied with a warning where it may be a stand-in', async () => {
  const tenant = uniqueName('tenant');
  const pay = (base: string) =>
    document(tenant, 'Connection', 'pay', {
      connector: 'stripe',
      settings: { base },
      auth: { kind: 'bearer', token: { value: 'a-token-of-the-system' } },
    });
  const foreign = await apply(tenant, [all(tenant)[0]!, pay('https://api.strlpe.com')]);
  expect(foreign.violations).toMatchObject([{ path: ['input', 'documents', '1', 'spec', 'settings', 'base'] }]);
  const standIn = await apply(tenant, [all(tenant)[0]!, pay('http://127.0.0.1:8085')]);
  expect(changes(standIn)).toEqual(['Tenant CREATED 1', 'Connection CREATED 1']);
  expect(standIn.warnings).toEqual([
    { path: ['documents', '1', 'spec', 'settings', 'base'], message: expect.stringContaining('unless DELIVERY_ALLOWED_URLS') },
  ]);
});

test('a document that is in use stays; one that is not can be removed, and comes back as a later version', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, all(tenant));
  const remove = (kind: string, name: string) =>
    server.data(
      { operatorIn: tenant },
      `mutation { removeDocument(input: { kind: ${kind}, name: "${name}" }) {
        __typename ... on ValidationError { violations { message } } ... on RemoveDocumentSuccess { change { change version } } } }`,
    );
  expect(await remove('Destination', 'crm')).toMatchObject({ removeDocument: { violations: [{ message: 'is used by Flow/triage' }] } });
  expect(await remove('Flow', 'triage')).toMatchObject({ removeDocument: { change: { change: 'REMOVED', version: 2 } } });
  expect(await remove('Flow', 'triage')).toMatchObject({ removeDocument: { __typename: 'NotFoundError' } });
  expect(changes(await apply(tenant, all(tenant)))).toContain('Flow CREATED 3');
});

test('a removal says how many runs that have not ended may need the document, by the versions of flows that they keep', async () => {
  const tenant = uniqueName('tenant');
  const [owner, flow, crm] = all(tenant);
  await apply(tenant, [owner!, flow!, crm!]);
  const kept = document(tenant, 'Flow', 'triage', { steps: [{ id: 'note', map: { expression: 'event.type' } }] });
  await apply(tenant, [kept]);
  for (const [n, state] of ['waiting', 'running', 'failed', 'completed', 'waiting'].entries()) {
    await server.rows.event({ tenant, id: `evt_${n}` });
    await server.rows.run({ tenant, id: `run_${n}`, event: `evt_${n}`, state, flowVersion: n === 4 ? 2 : 1 });
  }
  const doubt =
    'may be needed by 2 runs that have not ended, 1 of which wait (triage, version 1): once Destination/crm is gone, they fail when they come to it, so let them end, or cancel them';
  const { applyDocuments } = await server.data<Applied>(
    { operatorIn: tenant },
    `mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents, remove: [{ kind: Destination, name: "crm" }], dryRun: true }) {
      __typename ... on ApplyDocumentsSuccess { warnings { path message } } } }`,
    { documents: [owner] },
  );
  expect(applyDocuments.warnings).toEqual([{ path: ['remove', '0', 'name'], message: doubt }]);
  const remove = (kind: string, name: string) =>
    server.data<{ removeDocument: object }>(
      { operatorIn: tenant },
      `mutation { removeDocument(input: { kind: ${kind}, name: "${name}" }) { ... on RemoveDocumentSuccess { warnings { path message } } } }`,
    );
  expect(await remove('Destination', 'crm')).toEqual({ removeDocument: { warnings: [{ path: ['name'], message: doubt }] } });
  expect(await remove('Flow', 'triage')).toEqual({ removeDocument: { warnings: [] } });
});

test('a Tenant document stays as long as keys of the tenant are in force', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, [all(tenant)[0]!]);
  const { createApiKey } = await server.data<{ createApiKey: { apiKey: { id: string } } }>(
    { operatorIn: tenant },
    'mutation { createApiKey(input: { name: "k", scopes: [READ] }) { ... on CreateApiKeySuccess { apiKey { id } } } }',
  );
  const remove = () =>
    server.data(
      { operatorIn: tenant },
      `mutation { removeDocument(input: { kind: Tenant, name: "${tenant}" }) { __typename ... on ValidationError { violations { message } } } }`,
    );
  expect(await remove()).toMatchObject({
    removeDocument: { violations: [{ message: 'is used by an API key that is in force; revoke it first' }] },
  });
  await server.data({ operatorIn: tenant }, `mutation { revokeApiKey(input: { id: "${createApiKey.apiKey.id}" }) { __typename } }`);
  expect(await remove()).toMatchObject({ removeDocument: { __typename: 'RemoveDocumentSuccess' } });
});

test('a Tenant document is for the operator', async () => {
  const tenant = uniqueName('tenant');
  await apply(tenant, all(tenant));
  const admin = await server.key(tenant, 'admin');
  const { applyDocuments } = await server.data<Applied>(admin, mutation, { documents: [all(tenant)[0]], dryRun: false });
  expect(applyDocuments.violations).toEqual([{ path: ['input', 'documents', '0', 'kind'], message: 'Tenant is for the operator’s key' }]);
});

describe('a key with READ', () => {
  test('reads every document of a kind that can hold no secret, and none of the others', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, all(tenant));
    const reader = await server.key(tenant, 'read');
    const kinds = '{ documents { kind } }';
    expect(await server.data(reader, kinds)).toEqual({ documents: [{ kind: 'Flow' }, { kind: 'Tenant' }] });
    expect(await server.data(await server.key(tenant, 'admin'), kinds)).toEqual({
      documents: [{ kind: 'Destination' }, { kind: 'Flow' }, { kind: 'Tenant' }],
    });
    const flow = await server.data<{ document: { version: number; content: { spec: { steps: object[] } } } }>(
      reader,
      '{ document(kind: Flow, name: "triage") { version content } }',
    );
    expect([flow.document.version, flow.document.content.spec.steps.length]).toEqual([1, 2]);
    const { errors } = await server.ask(reader, '{ document(kind: Destination, name: "crm") { content } }');
    expect(errors?.[0]?.extensions.code).toBe('credential.scope');
  });
});

describe('with an expected version', () => {
  interface Expected {
    kind: string;
    name: string;
    version: number;
  }
  const applying = `mutation ($documents: [JSON!]!, $expectedVersions: [ExpectedVersion!], $dryRun: Boolean!) {
    applyDocuments(input: { documents: $documents, expectedVersions: $expectedVersions, dryRun: $dryRun }) {
      __typename
      ... on ApplyDocumentsSuccess { changes { kind change version differences { path before after } } }
      ... on ValidationError { code violations { path message } }
    } }`;
  const applyExpecting = async (tenant: string, documents: object[], expectedVersions: Expected[], dryRun = false) =>
    (
      await server.data<{ applyDocuments: Applied['applyDocuments'] & { code?: string } }>({ operatorIn: tenant }, applying, {
        documents,
        expectedVersions,
        dryRun,
      })
    ).applyDocuments;
  const crm = (version: number): Expected => ({ kind: 'Destination', name: 'crm', version });

  test('a change to what somebody else changed meanwhile is refused, by both versions, and nothing is saved', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, all(tenant));
    await apply(tenant, all(tenant, 'https://theirs.example/hook'));
    const mine = all(tenant, 'https://mine.example/hook');
    for (const dryRun of [true, false]) {
      const refused = await applyExpecting(tenant, mine, [crm(1), { kind: 'Flow', name: 'triage', version: 1 }], dryRun);
      expect([refused.code, refused.violations]).toEqual([
        'document.versionMismatch',
        [
          {
            path: ['input', 'expectedVersions', '0', 'version'],
            message:
              'Destination/crm is at version 2, and the request expects version 1; get the document again and make the change to that',
          },
        ],
      ]);
    }
    expect(changes(await applyExpecting(tenant, mine, [crm(2)]))).toEqual([
      'Tenant UNCHANGED 1',
      'Flow UNCHANGED 1',
      'Destination CHANGED 3',
    ]);
  });

  test('0 expects a document that is not there, never or not any more', async () => {
    const tenant = uniqueName('tenant');
    const [owner, , destination] = all(tenant);
    expect(changes(await applyExpecting(tenant, [owner!, destination!], [crm(0)]))).toContain('Destination CREATED 1');
    expect((await applyExpecting(tenant, [destination!], [crm(0)])).violations?.[0]?.message).toContain(
      'is at version 1, and the request expects that it does not exist',
    );
    const remove = (version: number) =>
      server.data(
        { operatorIn: tenant },
        `mutation { removeDocument(input: { kind: Destination, name: "crm", expectedVersion: ${version} }) {
          __typename ... on ValidationError { code path message } } }`,
      );
    expect(await remove(3)).toMatchObject({ removeDocument: { code: 'document.versionMismatch', path: ['input', 'expectedVersion'] } });
    expect(await remove(1)).toMatchObject({ removeDocument: { __typename: 'RemoveDocumentSuccess' } });
    expect((await applyExpecting(tenant, [destination!], [crm(2)])).violations?.[0]?.message).toContain(
      'does not exist, and the request expects version 2',
    );
    expect(changes(await applyExpecting(tenant, [destination!], [crm(0)]))).toEqual(['Destination CREATED 3']);
  });

  test('of many who change the same version at the same moment, one succeeds', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, all(tenant));
    const results = await Promise.all(
      [1, 2, 3, 4].map((n) => applyExpecting(tenant, [all(tenant, `https://n${n}.example/hook`)[2]!], [crm(1)])),
    );
    expect(results.map(({ __typename, code }) => code ?? __typename).toSorted()).toEqual([
      'ApplyDocumentsSuccess',
      'document.versionMismatch',
      'document.versionMismatch',
      'document.versionMismatch',
    ]);
  });

  test('an expectation of a document that is not applied, or a second one, is refused', async () => {
    const tenant = uniqueName('tenant');
    const refused = await applyExpecting(tenant, [all(tenant)[0]!], [crm(0), crm(0)]);
    expect(refused.violations?.map(({ path, message }) => `${path.join('.')}: ${message}`)).toEqual([
      'input.expectedVersions.0.name: is not among the documents: Destination/crm',
      'input.expectedVersions.1.name: is not among the documents: Destination/crm',
    ]);
  });
});

describe('documents that are removed with an apply', () => {
  interface Removal {
    kind: string;
    name: string;
  }
  const change = async (tenant: string, documents: object[], remove: Removal[], more: object = {}): Promise<Applied['applyDocuments']> =>
    (
      await server.data<Applied>(
        { operatorIn: tenant },
        `mutation ($input: ApplyDocumentsInput!) { applyDocuments(input: $input) { __typename
          ... on ApplyDocumentsSuccess { changes { kind change version differences { path before after } } }
          ... on ValidationError { violations { path message } } } }`,
        { input: { documents, remove, ...more } },
      )
    ).applyDocuments;
  const messages = ({ violations }: Applied['applyDocuments']) =>
    violations?.map(({ path, message }) => `${path.slice(1).join('.')}: ${message}`);
  const crm = { kind: 'Destination', name: 'crm' };
  const triage = { kind: 'Flow', name: 'triage' };

  test('go together with what names them, whatever the order, and a dry run removes nothing', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, all(tenant));
    const expected = ['Tenant UNCHANGED 1', 'Destination REMOVED 2', 'Flow REMOVED 2'];
    expect(changes(await change(tenant, [all(tenant)[0]!], [crm, triage], { dryRun: true }))).toEqual(expected);
    expect(changes(await change(tenant, [all(tenant)[0]!], [crm, triage]))).toEqual(expected);
    expect(await server.data({ operatorIn: tenant }, '{ documents { kind } }')).toEqual({ documents: [{ kind: 'Tenant' }] });
  });

  test('stay, and nothing is applied, if a document still names them or one changed meanwhile', async () => {
    const tenant = uniqueName('tenant');
    await apply(tenant, all(tenant));
    const [, flow] = all(tenant);
    const hub = document(tenant, 'Source', 'hub', { scheme: 'api-key' });
    expect(messages(await change(tenant, [hub], [crm]))).toEqual([
      'remove.0.name: is used by Flow/triage: Destination/crm; change or remove what uses it, too',
    ]);
    expect(messages(await change(tenant, [hub, flow!], [crm]))?.[0]).toBe(
      'documents.1.spec.steps.1.deliver.destination: names no destination of this tenant: crm',
    );
    const versions = {
      expectedVersions: [
        { ...triage, version: 1 },
        { ...crm, version: 2 },
      ],
    };
    expect(messages(await change(tenant, [hub], [triage, crm], versions))).toEqual([
      'expectedVersions.1.version: Destination/crm is at version 1, and the request expects version 2; get the document again and make the change to that',
    ]);
    expect(await server.data({ operatorIn: tenant }, '{ documents { kind } }')).toEqual({
      documents: [{ kind: 'Destination' }, { kind: 'Flow' }, { kind: 'Tenant' }],
    });
  });

  test('must exist, once, and neither be the tenant nor be applied by the same request', async () => {
    const tenant = uniqueName('tenant');
    const [owner, , destination] = all(tenant);
    await apply(tenant, [owner!, destination!]);
    expect(messages(await change(tenant, [destination!], [crm, { kind: 'Tenant', name: tenant }, triage, triage]))).toEqual([
      'remove.0.name: is also among the documents: Destination/crm; leave it out of one of the two',
      `remove.1.name: is the tenant itself: ${tenant}; remove it alone, with removeDocument`,
      'remove.3.name: is given twice: Flow/triage',
      'remove.2.name: names no document of this tenant: Flow/triage',
    ]);
    expect(messages(await change(tenant, [destination!], [triage]))).toEqual([
      'remove.0.name: names no document of this tenant: Flow/triage',
    ]);
  });

  test('are never left named by a document that is applied at the same moment', async () => {
    const tenant = uniqueName('tenant');
    const [owner, flow, destination] = all(tenant);
    for (let round = 0; round < 5; round++) {
      await apply(tenant, [owner!, destination!]);
      await Promise.all([apply(tenant, [flow!]), change(tenant, [owner!], [crm])]);
      const { documents } = await server.data<{ documents: { kind: string }[] }>({ operatorIn: tenant }, '{ documents { kind } }');
      expect([['Destination', 'Flow', 'Tenant'], ['Tenant']]).toContainEqual(documents.map(({ kind }) => kind));
      await change(tenant, [owner!], documents.length > 1 ? [triage, crm] : []);
    }
  });
});
