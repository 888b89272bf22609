import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { SecretBox, issueApiKey } from '#libs/auth';
import { document } from '#libs/contracts';
import type { Scope } from '#libs/contracts';
import { ApiKeyTable, Database, DocumentTable } from '#libs/persistence';

/** Keys that the services and the load generator of the bench share. */
export const benchKeys = {
  github: randomBytes(20).toString('hex'),
  standardWebhooks: `whsec_${randomBytes(24).toString('base64')}`,
  destination: `whsec_${randomBytes(24).toString('base64')}`,
  secretsKey: randomBytes(32).toString('base64'),
};

const metadata = (name: string) => ({ tenant: 'bench', name });
const head = { apiVersion: 'millrace/v1' };

export const infer = {
  model: 'local/rules-1',
  instructions: 'Say how urgent the issue is.',
  output: {
    type: 'object',
    additionalProperties: false,
    required: ['urgency'],
    properties: { urgency: { type: 'number', minimum: 0, maximum: 1 } },
  },
};

/** The flow of the samples. */
const sampleFlow = parse(readFileSync('apps/standalone/src/samples/flow.yaml', 'utf8')) as {
  spec: { steps: [{ infer: { model: string; instructions: string; output: object } }, ...object[]]; decision: string };
};

/** Its model step. */
export const assess = sampleFlow.spec.steps[0].infer;

/** One source, one flow that asks the model, one destination, and the tenant that they belong to. */
export async function applyBenchDocuments(databaseUrl: string, destinationUrl: string): Promise<void> {
  await apply(databaseUrl, [tenant, githubSource('github'), flow('assess', 'github', 'sink'), destination('sink', destinationUrl)]);
}

/** A source for each contestant of the bench of verification. @param publicKey of the source `ed25519` */
export async function applyVerificationDocuments(databaseUrl: string, publicKey: string): Promise<void> {
  const source = (name: string, spec: object): object => ({
    ...head,
    kind: 'Source',
    metadata: metadata(name),
    spec: { ...spec, eventId: 'body.id', type: 'body.type', customer: 'body.customer' },
  });
  const secrets = (value: string): object => ({ secrets: [{ value }] });
  await apply(databaseUrl, [
    tenant,
    source('open', { scheme: 'custom', custom: { kind: 'none', addresses: ['127.0.0.1', '::1'] } }),
    source('stripe', { scheme: 'stripe', ...secrets(benchKeys.github) }),
    source('github', { scheme: 'github', ...secrets(benchKeys.github) }),
    source('standard', { scheme: 'standard-webhooks', ...secrets(benchKeys.standardWebhooks) }),
    source('ed25519', { scheme: 'standard-webhooks-ed25519', ...secrets(publicKey) }),
  ]);
}

/** Adds a source, a flow and a destination of the noisy customer alone. */
export async function applyNoisyDocuments(databaseUrl: string, destinationUrl: string): Promise<void> {
  await apply(databaseUrl, [githubSource('noisy'), flow('noisy', 'noisy', 'noisy-sink'), destination('noisy-sink', destinationUrl)]);
}

/** The two forms of the event bench, each with a source of its own: `deliver` sends the event's data on, `assess` is the flow of the samples. */
export function applyEventDocuments(databaseUrl: string, destinationUrl: string): Promise<void> {
  return apply(databaseUrl, eventDocuments(destinationUrl));
}

export function eventDocuments(destinationUrl: string): object[] {
  const standardSource = (name: string): object => ({
    ...head,
    kind: 'Source',
    metadata: metadata(name),
    spec: { scheme: 'standard-webhooks', secrets: [{ value: benchKeys.standardWebhooks }] },
  });
  const deliver = (payload: string): object => ({ id: 'tell', deliver: { destination: 'sink', payload } });
  const [ask, check, act] = sampleFlow.spec.steps;
  const flowOf = (name: string, spec: object): object => ({
    ...head,
    kind: 'Flow',
    metadata: metadata(name),
    spec: { ...spec, on: { sources: [name] } },
  });
  return [
    tenant,
    destination('sink', destinationUrl, { limit: { concurrency: 64 } }), // the default of 16 is below what this machine delivers
    standardSource('deliver'),
    flowOf('deliver', { steps: [deliver('event.data.data')] }),
    standardSource('assess'),
    flowOf('assess', { ...sampleFlow.spec, steps: [ask, check, act, deliver('{ "key": event.data.data.key, "decision": steps.action }')] }),
  ];
}

/** Three forms of the bench of operations, each with a source of its own: the data sent on, the same after a cached read, and the whole way through other systems. */
export async function applyOperationDocuments(
  databaseUrl: string,
  { destinationUrl, systemUrl }: { destinationUrl: string; systemUrl: string },
): Promise<void> {
  const of = (kind: string, name: string, spec: object): object => ({ ...head, kind, metadata: metadata(name), spec });
  const source = (name: string): object =>
    of('Source', name, { scheme: 'standard-webhooks', secrets: [{ value: benchKeys.standardWebhooks }], customer: 'body.data.customer' });
  const enrich = (more: object): object => ({
    id: 'profile',
    enrich: { connection: 'system', operation: 'readProfile', input: '{ "customer": event.customer }', ...more },
  });
  const deliver = (to: string): object => ({ id: 'tell', deliver: { destination: to, payload: 'event.data.data' } });
  const open = { connection: 'system', operation: 'openCase', input: '{ "key": event.data.data.key, "urgency": steps.assess.urgency }' };
  await apply(databaseUrl, [
    tenant,
    of('Connector', 'system', systemConnector),
    of('Connection', 'system', { connector: 'system', settings: { base: systemUrl }, auth: { kind: 'none' }, timeoutMs: 60_000 }),
    destination('sink', destinationUrl, { limit: { concurrency: 64 } }),
    destination('slow-sink', `${systemUrl}/sink`, { limit: { concurrency: 200 } }),
    ...['plain', 'enriched', 'acting'].map(source),
    of('Flow', 'plain', { on: { sources: ['plain'] }, steps: [deliver('sink')] }),
    of('Flow', 'enriched', { on: { sources: ['enriched'] }, steps: [enrich({ cache: { ttlMs: 3_600_000 } }), deliver('sink')] }),
    of('Flow', 'acting', {
      on: { sources: ['acting'] },
      steps: [
        enrich({}),
        { id: 'assess', infer: { ...infer, input: 'event.data.data.subject' } },
        { id: 'open', call: open },
        deliver('slow-sink'),
      ],
    }),
  ]);
}

const systemConnector = {
  summary: 'The system of the bench.',
  base: '{settings.base}',
  hosts: ['*'],
  settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
  auth: [{ kind: 'none' }],
  operations: {
    readProfile: {
      summary: 'Read a profile.',
      effect: 'read',
      input: { type: 'object', required: ['customer'], properties: { customer: { type: 'string' } } },
      output: { type: 'object', required: ['tier'] },
      request: { method: 'GET', path: '/profiles/{input.customer}' },
    },
    openCase: {
      summary: 'Open a case.',
      effect: 'write',
      idempotency: { class: 'key' },
      input: { type: 'object', required: ['key'] },
      output: { type: 'object', required: ['case'] },
      request: { method: 'POST', path: '/cases', headers: { 'idempotency-key': '{delivery.id}' }, body: 'input' },
    },
  },
};

const tenant = { ...head, kind: 'Tenant', metadata: { name: 'bench' }, spec: { displayName: 'Bench' } };

function githubSource(name: string): object {
  return { ...head, kind: 'Source', metadata: metadata(name), spec: { scheme: 'github', secrets: [{ value: benchKeys.github }] } };
}

function flow(name: string, source: string, to: string): object {
  const steps = [
    { id: 'assess', infer },
    { id: 'tell', deliver: { destination: to } },
  ];
  return { ...head, kind: 'Flow', metadata: metadata(name), spec: { on: { sources: [source] }, steps } };
}

/** The deadline is longer than any bench lets a destination hang. */
function destination(name: string, url: string, spec: object = {}): object {
  return {
    ...head,
    kind: 'Destination',
    metadata: metadata(name),
    spec: { kind: 'http', url, secret: { value: benchKeys.destination }, timeoutMs: 60_000, ...spec },
  };
}

/** A new API key of the tenant. */
export async function issueBenchKey(databaseUrl: string, scopes: readonly Scope[]): Promise<string> {
  const { key, id, secretHash } = issueApiKey('bench');
  await withDatabase(databaseUrl, (database) =>
    new ApiKeyTable().insert(database, { tenant: 'bench', id, name: 'bench', secretHash, scopes, createdBy: 'bench', expiresAt: null }),
  );
  return key;
}

/** Writes to Postgres directly, because the acks bench runs no GraphQL. */
async function apply(databaseUrl: string, documents: readonly object[]): Promise<void> {
  const table = new DocumentTable(new SecretBox(Buffer.from(benchKeys.secretsKey, 'base64')));
  await withDatabase(databaseUrl, async (database) => {
    for (const one of documents) await table.save(database, { document: document.parse(one), actor: 'bench' });
  });
}

async function withDatabase(databaseUrl: string, work: (database: Database) => Promise<unknown>): Promise<void> {
  const database = await Database.connect({ url: databaseUrl, role: 'millrace_service', applicationName: 'millrace-bench', poolSize: 1 });
  await work(database);
  await database.close();
}
