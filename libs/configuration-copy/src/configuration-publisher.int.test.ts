/** @module-tag both-logs The copy of the configuration is on the log. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SecretBox, issueApiKey } from '#libs/auth';
import { ConfigurationPublished, document, everyTenant, topics } from '#libs/contracts';
import type { Scope } from '#libs/contracts';
import { RecordProducer, TopicReader, ensureTopics } from '#libs/messaging';
import type { LogOptions } from '#libs/messaging';
import { ApiKeyTable, Configuration, Database, DocumentTable } from '#libs/persistence';
import type { ConfigurationSnapshot } from '#libs/persistence';
import { freshDatabase, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { ConfigurationLog, sealedPart } from './configuration-log.js';
import type { IndexPart, TenantPart } from './configuration-log.js';
import { ConfigurationPublisher } from './index.js';

const tenant = uniqueName('acme');
const key = randomBytes(32);
const secretBox = new SecretBox(key);
/** So long that only notices can be what published. */
const refreshMs = 600_000;

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let options: LogOptions;
let producer: RecordProducer;
const stops: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'publisher-test', poolSize: 8 });
  documents = new DocumentTable(secretBox);
  options = { brokers: testBrokers(), clientId: 'test', prefix: `${uniqueName('copy')}.` };
  await ensureTopics(options, [topics.configuration], { replication: 1 });
  producer = new RecordProducer(options);
  await producer.connect();
});
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop();
  await producer.disconnect();
  await database.close();
  await fresh.close();
});

async function publish(box = secretBox): Promise<ConfigurationPublisher> {
  const configuration = new Configuration(database, { secretBox: box, refreshMs });
  const publisher = new ConfigurationPublisher(configuration, database, producer, box, options);
  await configuration.start();
  publisher.start();
  stops.push(
    () => configuration.stop(),
    () => publisher.stop(),
  );
  return publisher;
}

function logOf(box = secretBox): ConfigurationLog {
  const configurationLog = new ConfigurationLog(options, box);
  stops.push(() => configurationLog.close());
  return configurationLog;
}

/** Waits for a copy that fits. */
async function copy(fits: (snapshot: ConfigurationSnapshot) => boolean = () => true, box = secretBox): Promise<ConfigurationSnapshot> {
  const configurationLog = logOf(box);
  return waitFor(
    async () => {
      await configurationLog.readToEnd();
      const snapshot = configurationLog.snapshot();
      return typeof snapshot === 'string' || !fits(snapshot) ? undefined : snapshot;
    },
    { what: 'the copy' },
  );
}

function saveSource(name: string, secret: string, of = tenant): Promise<unknown> {
  const spec = { scheme: 'stripe', secrets: [{ value: secret }] };
  const source = document.parse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: of, name }, spec });
  return documents.save(database, { document: source, actor: 'test' });
}

async function saveKey(...scopes: Scope[]): Promise<string> {
  const { id, secretHash } = issueApiKey('test');
  await new ApiKeyTable().insert(database, { tenant, id, name: 'n', secretHash, scopes, expiresAt: null, createdBy: 'test' });
  return id;
}

const namesOf = (snapshot: ConfigurationSnapshot, of = tenant): string[] =>
  snapshot.tenants.get(of)?.documents.map(({ name }) => name) ?? [];

test('the copy has the sources of each tenant and the keys that may send events, and nothing else', async () => {
  await saveSource('shop', 'whsec_1');
  const flow = {
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant, name: 'f' },
    spec: { steps: [{ id: 'a', map: { expression: '1' } }] },
  };
  await documents.save(database, { document: document.parse(flow), actor: 'test' });
  const ingest = await saveKey('ingest', 'read');
  await saveKey('read');
  await publish();
  const { tenants } = await copy();
  expect([...tenants.keys()]).toEqual([tenant]);
  expect(tenants.get(tenant)).toMatchObject({
    documents: [
      { tenant, kind: 'Source', name: 'shop', version: 1, document: { spec: { secrets: [{ sealed: expect.stringMatching(/^v2\./) }] } } },
    ],
    apiKeys: [{ id: ingest, tenant, scopes: ['ingest', 'read'], revokedAt: null, expiresAt: null }],
  });
});

test('a change, a new tenant and a tenant without anything are published at once', async () => {
  const other = uniqueName('other');
  await saveSource('shop', 'whsec_1');
  await publish();
  await copy();
  await saveSource('shop', 'whsec_2');
  await copy(({ tenants }) => tenants.get(tenant)?.documents[0]?.version === 2);
  await saveSource('mail', 'whsec_3', other);
  await copy(({ tenants }) => tenants.has(other));
  await documents.remove(database, { tenant: other, kind: 'Source', name: 'mail', actor: 'test' });
  const left = await copy(({ tenants }) => !tenants.has(other));
  expect(namesOf(left)).toEqual(['shop']);
});

test('processes that publish side by side write each change once', async () => {
  await saveSource('shop', 'whsec_1');
  await Promise.all([publish(), publish(), publish()]);
  const first = await copy();
  await saveSource('shop', 'whsec_2');
  const second = await copy(({ tenants }) => tenants.get(tenant)?.documents[0]?.version === 2);
  expect(second.tenants.get(tenant)!.asOfMs).toBeGreaterThan(first.tenants.get(tenant)!.asOfMs);
  for (const stop of stops.splice(0).toReversed()) await stop();
  const again = await publish(); // finds nothing to write
  await waitFor(() => again.copyAgeMs !== undefined, { what: 'the copy to be read' });
  for (const stop of stops.splice(0).toReversed()) await stop();
  let ofTenant = 0;
  const reader = new TopicReader(options, topics.configuration, {
    onRecords: (records) => (ofTenant += records.filter((record) => String(record.key) === `${tenant}/-`).length),
    onRestart: () => undefined,
  });
  await reader.readToEnd();
  await reader.close();
  expect(ofTenant).toBe(2);
});

test('what the log lost is written again, and what a publisher that was cut off wrote late does not count', async () => {
  await saveSource('shop', 'whsec_1');
  await publish();
  const { asOfMs } = await copy();
  for (const stop of stops.splice(0).toReversed()) await stop();

  options = { ...options, prefix: `${uniqueName('lost')}.` };
  await ensureTopics(options, [topics.configuration], { replication: 1 });
  await producer.disconnect();
  producer = new RecordProducer(options);
  await producer.connect();
  await publish();
  const before = await copy();
  expect(namesOf(before)).toEqual(['shop']);

  const late: TenantPart = { asOfMs: asOfMs - 1, digest: 'old', copy: { sources: [], apiKeys: [] } };
  await producer.append(topics.configuration, ConfigurationPublished, sealedPart(secretBox, 'tenant', tenant, late));
  expect(namesOf(await copy())).toEqual(['shop']);
});

test('a copy that lacks a tenant is none, and says so', async () => {
  const index: IndexPart = { asOfMs: 5, tenants: { [tenant]: 5 } };
  const configurationLog = logOf();
  await configurationLog.readToEnd();
  expect(configurationLog.snapshot()).toBe('the log has no copy of the configuration');
  for (const [kind, part] of [
    ['index', index],
    ['age', { asOfMs: 5 }],
  ] as const) {
    await producer.append(topics.configuration, ConfigurationPublished, sealedPart(secretBox, kind, everyTenant, part));
  }
  await configurationLog.readToEnd();
  expect(configurationLog.snapshot()).toBe('the log’s copy of the configuration lacks 1 tenants');
});

test('a part that stands in the place of another one is refused', async () => {
  await saveSource('shop', 'whsec_1');
  await publish();
  await copy();
  const { sealed } = sealedPart(secretBox, 'tenant', uniqueName('other'), { asOfMs: Number.MAX_SAFE_INTEGER });
  await producer.append(topics.configuration, ConfigurationPublished, { tenant, customer: '-', sealed });
  expect(namesOf(await copy())).toEqual(['shop']);
});

test('after a rotation of the key of secrets, every part is sealed with the new one', async () => {
  await saveSource('shop', 'whsec_1');
  await publish();
  await copy();
  for (const stop of stops.splice(0).toReversed()) await stop();
  const next = randomBytes(32);
  await publish(new SecretBox(next, key));
  const { tenants } = await copy(undefined, new SecretBox(next)); // without the previous key
  expect(tenants.has(tenant)).toBe(true);
});

test('a tenant that does not fit into a record is left out, and is not taken for one that does not exist', async () => {
  await saveSource('shop', 'whsec_1', uniqueName('small'));
  await saveSource('shop', 'whsec_2');
  const append = producer.append.bind(producer);
  producer.append = (topic, type, value, more) =>
    append(topic, type, value, { ...more, ...(value.tenant === tenant ? { maxBytes: 10 } : {}) });
  await publish();
  const { tenants, unpublished } = await copy();
  expect([tenants.size, [...unpublished]]).toEqual([1, [tenant]]);
});
