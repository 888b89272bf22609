import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { document as documentSchema } from '#libs/contracts';
import { Configuration, Database, DocumentSecrets, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

const refreshAudits = statement('test.secrets.audits', `SELECT target FROM audit_entry WHERE tenant_id = $1 AND action = 'refreshSecrets'`);

let folder: string;
let server: QueryServer;
let tenant: string;
let admin: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-secrets-'));
  server = await QueryServer.start({ secretsFolder: folder });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  tenant = uniqueName('acme');
  admin = await server.key(tenant, 'admin', 'read');
  const documents = [{ ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: tenant } }];
  await server.data({ operatorIn: tenant }, applied, { input: { documents } });
});

const head = { apiVersion: 'millrace/v1' };
const applied = `mutation ($input: ApplyDocumentsInput!) { result: applyDocuments(input: $input) {
  __typename
  ... on ApplyDocumentsSuccess { changes { name change version differences { path before after } } }
  ... on UserError { code message }
  ... on ValidationError { violations { path message } } } }`;

interface Result {
  __typename: string;
  code?: string;
  changed?: string[];
  changes?: { change: string; version: number; differences: { path: string }[] }[];
  violations?: { path: string[]; message: string }[];
}

function store(of: string, entry: string, secrets: Record<string, string>): void {
  mkdirSync(join(folder, of, entry), { recursive: true });
  for (const [key, value] of Object.entries(secrets)) writeFileSync(join(folder, of, entry, key), value);
}

const send = <T>(query: string, variables: Record<string, unknown> = {}): Promise<T> => server.data<T>(admin, query, variables);

const source = (secrets: object[], scheme = 'github'): object => ({
  ...head,
  kind: 'Source',
  metadata: { tenant, name: 'code' },
  spec: { scheme, secrets },
});
const apply = async (...documents: object[]): Promise<Result> => (await send<{ result: Result }>(applied, { input: { documents } })).result;
const refresh = async (): Promise<Result> =>
  (await send<{ result: Result }>(`mutation { result: refreshSecrets(input: {}) { __typename ... on RefreshSecretsSuccess { changed } } }`))
    .result;
const listed = async (): Promise<object[]> =>
  (await send<{ storedSecrets: object[] }>('{ storedSecrets { kind name field path key problem } }')).storedSecrets;
/** The document as it is given out. */
const given = async (): Promise<{ version: number; content: { spec: { secrets: object[] } } }> =>
  (await send<{ document: never }>('{ document(kind: Source, name: "code") { version content } }')).document;
/** The secrets in force, as a door has them. */
async function inForce(): Promise<unknown> {
  const configuration = server.part(Configuration);
  await configuration.readTenantAgain(tenant);
  const stored = configuration.source(tenant, 'code')!.document;
  return (new DocumentSecrets(server.part(SecretBox)).opened(stored).spec as { secrets: { value: string }[] }).secrets.map(
    ({ value }) => value,
  );
}

const signing = { from: { path: 'partners/github', key: 'signing' } };

test('a secret of the store is read at the apply, and is in force; what is given out names it, and has it encrypted', async () => {
  store(tenant, 'partners/github', { signing: 'a secret of 24 characters\n' });
  expect(await apply(source([signing, { value: 'x'.repeat(24) }]))).toMatchObject({ changes: [{ change: 'CREATED' }] });
  expect(await inForce()).toEqual(['a secret of 24 characters', 'x'.repeat(24)]);
  const { content } = await given();
  expect(content.spec.secrets[0]).toEqual({ ...signing, sealed: expect.stringMatching(/^v2\./), fingerprint: expect.any(String) });
  expect(JSON.stringify(content)).not.toContain('24 characters');
  expect(await listed()).toEqual([
    { kind: 'Source', name: 'code', field: 'spec.secrets.0', path: 'partners/github', key: 'signing', problem: null },
  ]);
});

test('applied again, in either form, it says the same until the store has another one', async () => {
  store(tenant, 'partners/github', { signing: 'the secret before that one' });
  await apply(source([signing]));
  expect(await apply(source([signing]))).toMatchObject({ changes: [{ change: 'UNCHANGED', version: 1 }] });
  const { content } = await given();
  expect(await apply(content)).toMatchObject({ changes: [{ change: 'UNCHANGED', version: 1 }] });
  store(tenant, 'partners/github', { signing: 'the secret after that one' });
  expect(await apply(content)).toMatchObject({
    changes: [{ change: 'CHANGED', version: 2, differences: [{ path: 'spec.secrets.0.fingerprint' }] }],
  });
  expect(await inForce()).toEqual(['the secret after that one']);
});

test('one that changes in the store becomes a new version, which says who made it', async () => {
  store(tenant, 'partners/github', { signing: 'the secret before that one' });
  await apply(source([signing]));
  expect(await refresh()).toMatchObject({ changed: [] });
  store(tenant, 'partners/github', { signing: 'the secret after that one' });
  expect(await refresh()).toMatchObject({ changed: ['Source/code'] });
  expect(await inForce()).toEqual(['the secret after that one']);
  expect(await refresh()).toMatchObject({ changed: [] });
  expect(await given()).toMatchObject({ version: 2 });
});

test('one that is gone from the store, or cannot be used, leaves the document as it is and is listed with the reason', async () => {
  store(tenant, 'partners/github', { signing: 'the secret before that one', key: 'k'.repeat(20) });
  await apply(source([signing]), {
    ...head,
    kind: 'ModelProvider',
    metadata: { tenant, name: 'models' },
    spec: { service: 'openai', apiKey: { from: { path: 'partners/github', key: 'key' } } },
  });
  rmSync(join(folder, tenant, 'partners/github/signing'));
  store(tenant, 'partners/github', { key: 'two\nlines' });
  expect(await refresh()).toMatchObject({ changed: [] });
  expect(await inForce()).toEqual(['the secret before that one']);
  expect(await listed()).toMatchObject([
    { name: 'models', problem: 'must be visible ASCII characters' },
    { name: 'code', problem: 'signing is not in partners/github; the keys of this entry: key' },
  ]);
  store(tenant, 'partners/github', { signing: 'the secret after that one', key: 'l'.repeat(20) });
  expect(await refresh()).toMatchObject({ changed: ['ModelProvider/models', 'Source/code'] });
  expect((await listed()).map((row) => (row as { problem: unknown }).problem)).toEqual([null, null]);
});

test('one that can be guessed is taken, with a warning at the apply and at each look', async () => {
  store(tenant, 'partners/github', { signing: 'abc' });
  const warned = `mutation ($input: ApplyDocumentsInput!) { result: applyDocuments(input: $input) {
    ... on ApplyDocumentsSuccess { warnings { path message } } } }`;
  const warning = 'has fewer than 16 characters: whoever guesses it can send events';
  const path = ['documents', '0', 'spec', 'secrets', '0'];
  expect(await send(warned, { input: { documents: [source([signing])] } })).toEqual({ result: { warnings: [{ path, message: warning }] } });
  const warnings = async () =>
    (
      await send<{ result: { secrets: object[] } }>(
        'mutation { result: refreshSecrets(input: {}) { ... on RefreshSecretsSuccess { secrets { problem warning } } } }',
      )
    ).result.secrets;
  expect(await warnings()).toEqual([{ problem: null, warning }]);
  store(tenant, 'partners/github', { signing: 'the secret after that one' });
  expect(await warnings()).toEqual([{ problem: null, warning: null }]);
  store(tenant, 'partners/github', { signing: 'xyz' });
  expect(await warnings()).toEqual([{ problem: null, warning }]);
});

test('what an apply has read counts as looked for: the problem before it is over', async () => {
  store(tenant, 'partners/github', { signing: 'the secret before that one' });
  await apply(source([signing]));
  const rows = async () =>
    (await send<{ storedSecrets: { readAt: string; problem: string | null }[] }>('{ storedSecrets { readAt problem } }')).storedSecrets;
  const [atApply] = await rows();
  expect(atApply).toEqual({ readAt: expect.stringMatching(/^20\d\d-/) as string, problem: null });
  rmSync(join(folder, tenant, 'partners/github/signing'));
  await refresh();
  expect(await rows()).toMatchObject([{ problem: expect.stringContaining('signing is not in') as string }]);
  store(tenant, 'partners/github', { signing: 'the secret after that one' });
  await apply(source([signing]));
  expect(await rows()).toMatchObject([{ problem: null }]);
});

test('one document may be looked for alone; its change is in the audit log, and one without such a secret is refused', async () => {
  const keyed = (name: string) => ({
    ...head,
    kind: 'ModelProvider',
    metadata: { tenant, name },
    spec: { service: 'openai', apiKey: { from: { path: 'models', key: name } } },
  });
  store(tenant, 'models', { first: 'k'.repeat(20), second: 'k'.repeat(20) });
  await apply(keyed('first'), keyed('second'));
  store(tenant, 'models', { first: 'l'.repeat(20), second: 'l'.repeat(20) });
  const only = (name: string): Promise<{ result: Result }> =>
    send(
      `mutation ($documents: [DocumentName!]) { result: refreshSecrets(input: { documents: $documents }) {
        __typename ... on RefreshSecretsSuccess { changed } ... on UserError { code message } } }`,
      { documents: [{ kind: 'ModelProvider', name }] },
    );
  expect(await only('second')).toMatchObject({ result: { changed: ['ModelProvider/second'] } });
  expect(await only('third')).toMatchObject({
    result: { code: 'document.unknown', message: expect.stringContaining('ModelProvider/third') as string },
  });
  const database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
  onTestFinished(() => database.close());
  expect(await database.query(refreshAudits, [tenant])).toEqual([{ target: 'ModelProvider/second' }]);
  expect(await refresh()).toMatchObject({ changed: ['ModelProvider/first'] });
});

test('one that the document cannot use is refused at the apply', async () => {
  store(tenant, 'openai', { key: 'two\nlines' });
  const spec = { service: 'openai', apiKey: { from: { path: 'openai', key: 'key' } } };
  expect(await apply({ ...head, kind: 'ModelProvider', metadata: { tenant, name: 'models' }, spec })).toMatchObject({
    violations: [{ path: ['input', 'documents', '0', 'spec', 'apiKey'], message: 'must be visible ASCII characters' }],
  });
});

test.each([
  [{ from: { path: 'none', key: 'signing' } }, 'from.path', /^none is no folder in the part of the tenant$/],
  [{ from: { path: 'partners/github', key: 'sining' } }, 'from.key', /the keys of this entry: signing$/],
  [{ from: { path: '../other/partners', key: 'signing' } }, 'from.path', /^must be names of letters/],
  [{ from: { path: 'partners/../../other', key: 'signing' } }, 'from.path', /^must be names of letters/],
  [{ from: { path: 'partners/github', key: '..' } }, 'from.key', /^must be letters/],
  [{ value: 'x'.repeat(20), from: { path: 'partners/github', key: 'signing' } }, 'value', /^must not stand beside `from`/],
])('what cannot be had is refused with its field: %j', async (secret, field, message) => {
  store(tenant, 'partners/github', { signing: 'the secret of that one' });
  const { code, violations } = await apply(source([secret]));
  expect(code).toBe('document.invalid');
  expect(violations).toMatchObject([
    { path: ['input', 'documents', '0', 'spec', 'secrets', '0', ...field.split('.')], message: expect.stringMatching(message) },
  ]);
});

test('a secret of another tenant is out of reach, also in a document of that tenant', async () => {
  const other = uniqueName('other');
  store(other, 'partners/github', { signing: 'the secret of the other one' });
  expect(await apply(source([signing]))).toMatchObject({ code: 'document.invalid' });
  const theirs = { ...source([signing]), metadata: { tenant: other, name: 'code' } };
  expect((await apply(theirs)).violations).toEqual([
    { path: ['input', 'documents', '0', 'metadata', 'tenant'], message: expect.stringContaining('this key acts in') },
  ]);
});

test('a document says where its secrets are without being read by one who is no admin', async () => {
  const reader = await server.key(tenant, 'read');
  const answer = await server.ask(reader, '{ storedSecrets { name } }');
  expect(answer.errors?.[0]?.extensions.code).toBe('credential.scope');
});

test('while the store does not answer, an apply of such a document is refused, and can be repeated', async () => {
  writeFileSync(join(folder, 'token'), 'hvs.x');
  const cutOff = await QueryServer.start({ vaultAddress: 'http://127.0.0.1:1', vaultTokenFile: join(folder, 'token') });
  onTestFinished(() => cutOff.stop());
  const documents = [{ ...head, kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: tenant } }, source([signing])];
  const { result } = await cutOff.data<{ result: Result }>({ operatorIn: tenant }, applied, { input: { documents } });
  expect(result).toMatchObject({
    code: 'secretStore.unavailable',
    message: expect.stringContaining('Vault at http://127.0.0.1:1 does not answer'),
  });
});

test('the schema of documents knows both forms', () => {
  const parse = (secret: object): boolean =>
    documentSchema.safeParse({ ...source([]), spec: { scheme: 'github', secrets: [secret] } }).success;
  expect(
    [{ value: 'x' }, signing, { sealed: 'v2.x', fingerprint: 'f', ...signing }, { from: {} }, { sealed: 'v2.x', ...signing }].map(parse),
  ).toEqual([true, true, true, false, false]);
});
