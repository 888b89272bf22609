import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { NotFound, document } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import { MemoryLimitStore } from '#libs/limits';
import { ModelGateway, OpenAiProvider } from '#libs/models';
import type { ModelTarget } from '#libs/models';
import { Configuration, Database, DocumentSecrets, DocumentTable } from '#libs/persistence';
import { compileSchema } from '#libs/schemas';
import { freshDatabase, startHttpSink, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { ModelProviderPool } from './model-provider.pool.js';

type Sink = Awaited<ReturnType<typeof startHttpSink>>;

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let secrets: DocumentSecrets;
let configuration: Configuration;
let http: HttpClient;
let pool: ModelProviderPool;
let gateway: ModelGateway;
let one: Sink;
let other: Sink;
let tenant: string;
/** Requests that came before the test. */
const seen = new Map<Sink, number>();
const requestsOf = (sink: Sink) => sink.requests.slice(seen.get(sink));

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  secrets = new DocumentSecrets(secretBox);
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
  one = await startHttpSink();
  other = await startHttpSink();
  http = new HttpClient({ allowPrivateAddresses: false, allowedUrls: [one.url, other.url] });
  pool = new ModelProviderPool(configuration, secrets, http, new MemoryLimitStore());
  pool.onApplicationBootstrap();
  gateway = new ModelGateway({
    provider: new OpenAiProvider({ baseUrl: `${one.url}/installation`, apiKey: 'of the installation' }),
    directory: pool,
    retry: { retries: 0, initialDelayMs: 1, factor: 1, maxDelayMs: 1, jitter: 0 },
  });
});
afterAll(async () => {
  await gateway.close();
  await pool.onApplicationShutdown();
  await http.close();
  await configuration.stop();
  await database.close();
  await fresh.close();
  await one.stop();
  await other.stop();
});
beforeEach(async () => {
  tenant = uniqueName('tenant');
  for (const sink of [one, other]) {
    seen.set(sink, sink.requests.length);
    sink.respondWith(() => answer('{"mood":"good"}'));
  }
  await apply('Tenant', tenant, { displayName: 'Acme' });
});

const answer = (content: string): { status: number; headers: Record<string, string>; body: string } => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ choices: [{ finish_reason: 'stop', message: { content } }], usage: { prompt_tokens: 4, completion_tokens: 2 } }),
});

async function apply(kind: Document['kind'], name: string, spec: object): Promise<void> {
  const metadata = kind === 'Tenant' ? { name } : { tenant, name };
  const given = document.parse({ apiVersion: 'millrace/v1', kind, metadata, spec });
  const { version } = await documents.save(database, { document: secrets.sealed(given), actor: 'test' });
  const current = (): number | undefined => {
    if (kind === 'Tenant') return configuration.tenant(name)?.version;
    return kind === 'ModelRoute' ? configuration.modelRoute(tenant, name)?.version : configuration.modelProvider(tenant, name)?.version;
  };
  await waitFor(() => current() === version, { what: `${name} to be current` });
}

const infer = (target: ModelTarget, over: object = {}) =>
  gateway.infer({
    tenant,
    target,
    instructions: 'Judge.',
    input: 'Lovely.',
    outputSchema: compileSchema({
      type: 'object',
      properties: { mood: { enum: ['good', 'bad'] } },
      required: ['mood'],
      additionalProperties: false,
    }),
    schemaName: 'mood',
    timeoutMs: 10_000,
    onAttempt: () => Promise.resolve(),
    ...over,
  });
const bodyOf = (sink: Sink, at = 0): Record<string, unknown> & { messages: { content: string }[] } =>
  JSON.parse(String(requestsOf(sink)[at]!.body)) as never;

describe('a model provider of a tenant', () => {
  test('is asked at its own address, with its own key and headers', async () => {
    await apply('ModelProvider', 'mine', {
      baseUrl: `${other.url}/v1`,
      apiKey: { value: 'sk-of-the-tenant' },
      headers: { 'x-team': 'support', 'x-proxy-key': 'proxy-secret-1' },
    });
    expect(await infer({ model: 'm', provider: 'mine' })).toMatchObject({ output: { mood: 'good' }, model: 'm' });
    const { path, headers } = requestsOf(other)[0]!;
    expect(path).toBe('/v1/chat/completions');
    expect(headers).toMatchObject({ authorization: 'Bearer sk-of-the-tenant', 'x-team': 'support', 'x-proxy-key': 'proxy-secret-1' });
    expect(requestsOf(one)).toEqual([]);
  });

  test('without a key is sent none, also not that of the installation', async () => {
    await apply('ModelProvider', 'mine', { baseUrl: `${other.url}/v1` });
    await infer({ model: 'm', provider: 'mine' });
    expect(requestsOf(other)[0]!.headers).not.toHaveProperty('authorization');
  });

  test('gets requests in the form that its service takes', async () => {
    await apply('ModelProvider', 'le-chat', { service: 'mistral', baseUrl: `${other.url}/v1` });
    await infer({ model: 'm', provider: 'le-chat' }, { maxOutputTokens: 50 });
    expect(bodyOf(other)).toMatchObject({ max_tokens: 50, response_format: { type: 'json_schema' } });
    expect(bodyOf(other)).not.toHaveProperty('max_completion_tokens');

    await apply('ModelProvider', 'claude', { service: 'anthropic', baseUrl: `${other.url}/v1` });
    await infer({ model: 'm', provider: 'claude' });
    expect(bodyOf(other, 1)).not.toHaveProperty('response_format');
    expect(bodyOf(other, 1).messages[0]!.content).toContain('"enum":["good","bad"]');
  });

  test('gives facts of each model: the longest output, the way to structured output', async () => {
    const models = { small: { maxOutputTokens: 20, structuredOutput: 'object' } };
    await apply('ModelProvider', 'mine', { baseUrl: `${other.url}/v1`, models });
    await infer({ model: 'small', provider: 'mine' }, { maxOutputTokens: 50 });
    await infer({ model: 'large', provider: 'mine' }, { maxOutputTokens: 50 });
    expect(bodyOf(other)).toMatchObject({ max_completion_tokens: 20, response_format: { type: 'json_object' } });
    expect(bodyOf(other, 1)).toMatchObject({ max_completion_tokens: 50, response_format: { type: 'json_schema' } });
  });

  test('is asked with the key of its newest version', async () => {
    await apply('ModelProvider', 'mine', { baseUrl: `${other.url}/v1`, apiKey: { value: 'first-key' } });
    other.respondWith(() => ({ status: 401, body: '{"error":{"message":"wrong key first-key"}}' }));
    const refused = await infer({ model: 'm', provider: 'mine' }).catch((error: unknown) => error as Error);
    expect(refused).toMatchObject({ code: 'model.credential', ours: true });
    expect((refused as Error).message).toContain('[redacted]');
    other.respondWith(() => answer('{"mood":"bad"}'));
    await apply('ModelProvider', 'mine', { baseUrl: `${other.url}/v1`, apiKey: { value: 'second-key' } });
    expect(await infer({ model: 'm', provider: 'mine' }), 'nothing is kept of the old key').toMatchObject({ output: { mood: 'bad' } });
    expect(requestsOf(other).at(-1)!.headers).toMatchObject({ authorization: 'Bearer second-key' });
  });

  test('at an address that is not public is refused, and runs wait', async () => {
    await apply('ModelProvider', 'inner', { baseUrl: 'http://127.0.0.1:9/v1' });
    await expect(infer({ model: 'm', provider: 'inner' })).rejects.toMatchObject({ code: 'model.misconfigured', outcome: 'retry' });
    await apply('ModelProvider', 'named', { baseUrl: 'http://localhost:9/v1' });
    await expect(infer({ model: 'm', provider: 'named' })).rejects.toMatchObject({ code: 'model.misconfigured', outcome: 'retry' });
  });

  test('of another tenant cannot be named', async () => {
    await apply('ModelProvider', 'mine', { baseUrl: `${other.url}/v1` });
    await expect(infer({ model: 'm', provider: 'mine' }, { tenant: 'beta' })).rejects.toThrow(new NotFound('modelProvider', 'mine'));
  });
});

describe('a route', () => {
  test('goes on from a provider of the tenant to that of the installation, and records who was asked', async () => {
    await apply('ModelProvider', 'mine', {
      baseUrl: `${other.url}/v1`,
      models: { m: { price: { input: 1, output: 10 } } },
      currency: 'EUR',
    });
    await apply('ModelRoute', 'triage', { candidates: [{ provider: 'mine', model: 'm' }, { model: 'local/rules-1' }] });
    const attempts: unknown[] = [];
    const onAttempt = (attempt: unknown): Promise<void> => Promise.resolve(void attempts.push(attempt));
    other.respondWith(() => ({ ...answer('{"mood":"purple"}') }));
    expect(await infer({ route: 'triage' }, { onAttempt })).toMatchObject({
      output: { mood: 'good' },
      model: 'local/rules-1',
      attempts: 4,
    });
    expect(requestsOf(one)[0]!.headers).toMatchObject({ authorization: 'Bearer of the installation' });
    expect(attempts).toMatchObject([
      { provider: 'mine', model: 'm', errorCode: 'model.invalidOutput', costNanos: 24_000, currency: 'EUR' },
      { provider: 'mine', model: 'm', errorCode: 'model.invalidOutput' },
      { provider: 'mine', model: 'm', errorCode: 'model.invalidOutput' },
      { provider: null, model: 'local/rules-1', errorCode: null, costNanos: null, currency: null },
    ]);
  });

  test('goes on from a provider whose address may not be reached', async () => {
    await apply('ModelProvider', 'inner', { baseUrl: 'http://127.0.0.1:9/v1' });
    await apply('ModelRoute', 'triage', { candidates: [{ provider: 'inner', model: 'm' }, { model: 'local/rules-1' }] });
    expect(await infer({ route: 'triage' })).toMatchObject({ output: { mood: 'good' }, model: 'local/rules-1' });
  });

  test('that does not exist is named in the failure', async () => {
    await expect(infer({ route: 'nowhere' })).rejects.toThrow(new NotFound('modelRoute', 'nowhere'));
  });
});
