import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes, logLevel } from 'kafkajs';
import type { Admin, KafkaMessage } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Login } from '#libs/connections';
import { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { freePort } from '#libs/ports';
import { createTopics, startRelay, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { startKafkaCluster } from '../../../../tools/kafka/cluster.js';
import type { KafkaCluster } from '../../../../tools/kafka/cluster.js';
import { javaCommand, javaRunsKafka } from '../../../../tools/kafka/java.js';
import { jaas, pem, tlsSettings } from '../../../../tools/kafka/secured-listener.js';
import { probe } from '../connection.probe.js';
import type { OperationResult } from '../connector.js';
import { Connectors } from '../connectors.js';
import { driverConformance } from '../driver.conformance.js';
import { failureOf } from '../harness.conformance.js';

const password = 'secret/of-the+cluster';
const credential = { username: 'millrace', password };
const authority = readFileSync(pem('ca.pem'), 'utf8');
const topics = [
  { topic: 'orders', numPartitions: 3 },
  { topic: 'short', configEntries: [{ name: 'max.message.bytes', value: '2000' }] },
  { topic: 'compacted', configEntries: [{ name: 'cleanup.policy', value: 'compact' }] },
  { topic: 'stamped', configEntries: [{ name: 'message.timestamp.type', value: 'LogAppendTime' }] },
  { topic: 'forbidden' },
];

/** A Kafka with a listener for each way to be known, of which one is reached through a relay. */
interface Cluster {
  readonly kafka: KafkaCluster;
  readonly admin: Admin;
  /** The records of `orders` that a consumer has read, by `partition/offset`. */
  readonly records: Map<string, KafkaMessage>;
  readonly ports: {
    readonly login: number;
    readonly relay: number;
    readonly secure: number;
    readonly mutual: number;
    readonly astray: number;
  };
  stop(): Promise<void>;
}

async function startCluster(): Promise<Cluster> {
  const [login, relay, secure, mutual, astray] = (await Promise.all(Array.from({ length: 5 }, () => freePort()))) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const kafka = await startKafkaCluster({
    nodes: 1,
    users: { millrace: password, slow: password },
    settings: ({ broker, controller }) => ({
      listeners: `PLAINTEXT://${broker},CONTROLLER://${controller},LOGIN://127.0.0.1:${login},SECURE://127.0.0.1:${secure},MUTUAL://127.0.0.1:${mutual},ASTRAY://127.0.0.1:${astray}`,
      'advertised.listeners': `PLAINTEXT://${broker},LOGIN://127.0.0.1:${relay},SECURE://127.0.0.1:${secure},MUTUAL://127.0.0.1:${mutual},ASTRAY://127.0.0.1:1`,
      'listener.security.protocol.map':
        'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL,ASTRAY:PLAINTEXT',
      ...tlsSettings('secure'),
      ...tlsSettings('mutual'),
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.login.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
      'listener.name.login.scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'listener.name.secure.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.secure.plain.sasl.jaas.config': jaas('plain.PlainLoginModule', ` user_millrace="${password}"`),
      'listener.name.secure.scram-sha-256.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'listener.name.secure.scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS',
      'log.retention.ms': '-1', // the records of the suite are old
    }),
  });
  const client = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  await createTopics(
    admin,
    topics.map((topic) => ({ numPartitions: 1, replicationFactor: 1, ...topic })),
  );
  const writable = [...topics.map(({ topic }) => topic).filter((topic) => topic !== 'forbidden'), 'none'];
  await admin.createAcls({ acl: writable.map(mayWrite) });
  const records = new Map<string, KafkaMessage>();
  const consumer = client.consumer({ groupId: 'reader' });
  await consumer.connect();
  await consumer.subscribe({ topic: 'orders', fromBeginning: true });
  await consumer.run({ eachMessage: async ({ partition, message }) => void records.set(`${partition}/${message.offset}`, message) });
  const stop = async (): Promise<void> => {
    await consumer.disconnect();
    await admin.disconnect();
    await kafka.stop();
  };
  return { kafka, admin, records, ports: { login, relay, secure, mutual, astray }, stop };
}

const mayWrite = (topic: string) => ({
  principal: 'User:*',
  host: '*',
  resourceType: AclResourceTypes.TOPIC,
  resourceName: topic,
  resourcePatternType: ResourcePatternTypes.LITERAL,
  operation: AclOperationTypes.WRITE,
  permissionType: AclPermissionTypes.ALLOW,
});

const canRun = await javaRunsKafka();

/** How many records `orders` has. */
async function countOf({ admin }: Cluster): Promise<number> {
  const offsets = await admin.fetchTopicOffsets('orders');
  return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0);
}

describe.skipIf(!canRun)('a Kafka of a tenant', () => {
  let cluster: Cluster;
  beforeAll(async () => void (cluster = await startCluster()));
  afterAll(() => cluster?.stop());

  async function startPeer() {
    const { ports } = cluster;
    const relay = await startRelay({ host: '127.0.0.1', port: ports.login }, ports.relay);
    const before = await countOf(cluster);
    return {
      ...relay,
      url: `kafka://127.0.0.1:${ports.relay}`,
      effects: async () => (await countOf(cluster)) - before,
      get connections() {
        return relay.counts.all;
      },
      get open() {
        return relay.counts.open;
      },
    };
  }
  const order = { topic: 'orders', key: 'c-1', value: { total: 1 } };
  const settingsAt = (host: string): { [name: string]: Json } => ({ brokers: [`${host}:${cluster.ports.relay}`], tls: 'none' });
  const seenIn =
    (read: (record: KafkaMessage) => unknown) =>
    async (_: unknown, { output }: OperationResult): Promise<unknown> => {
      const { partition, offset } = output as { partition: number; offset: string };
      return read(await waitFor(() => cluster.records.get(`${partition}/${offset}`), { what: 'the record' }));
    };

  driverConformance({
    name: 'kafka',
    start: startPeer,
    settings: () => settingsAt('127.0.0.1'),
    settingsAt: (_, host) => settingsAt(host),
    login: () => credential,
    writes: [{ operation: 'produce', input: order, effects: ({ effects }) => effects() }],
    loseAnswer: ({ lose }) => lose('millrace-effect-key'),
    faults: [
      {
        name: 'no answer after the record',
        prepare: ({ lose }) => lose('millrace-effect-key'),
        code: 'operation.timeout',
        isUncertain: true,
        effects: 1,
        timeoutMs: 2_000,
      },
      { name: 'a topic that is not there', prepare: nothing, code: 'operation.refused', call: producing({ topic: 'none' }) },
      { name: 'a topic without the right', prepare: nothing, code: 'operation.refused', call: producing({ topic: 'forbidden' }) },
      {
        name: 'a partition that is not there',
        prepare: nothing,
        code: 'operation.inputInvalid',
        call: producing({ topic: 'orders', partition: 3 }),
      },
      {
        name: 'a record that is too large',
        prepare: nothing,
        code: 'operation.refused',
        call: producing({ topic: 'short', value: 'x'.repeat(3_000) }),
      },
      { name: 'no key in a compacted topic', prepare: nothing, code: 'operation.refused', call: producing({ topic: 'compacted' }) },
      { name: 'two values', prepare: nothing, code: 'operation.inputInvalid', call: producing({ topic: 'orders', text: 'a' }) },
      {
        name: 'no Base64',
        prepare: nothing,
        code: 'operation.inputInvalid',
        call: { operation: 'produce', input: { topic: 'orders', base64: 'a' } },
      },
      {
        name: 'the header of the effect key',
        prepare: nothing,
        code: 'operation.inputInvalid',
        call: producing({ topic: 'orders', headers: { 'Millrace-Effect-Key': 'a' } }),
      },
    ],
    hostile: [
      {
        name: 'the text',
        operation: 'produce',
        input: (text) => ({ topic: 'orders', text }),
        seen: seenIn(({ value }) => value!.toString()),
      },
      {
        name: 'the value',
        operation: 'produce',
        input: (text) => ({ topic: 'orders', value: { text } }),
        seen: seenIn(({ value }) => (JSON.parse(value!.toString()) as { text: string }).text),
      },
      { name: 'the key', operation: 'produce', input: (key) => ({ ...order, key }), seen: seenIn(({ key }) => key!.toString()) },
      {
        name: 'a header',
        operation: 'produce',
        input: (text) => ({ ...order, headers: { said: text } }),
        seen: seenIn(({ headers }) => headers!['said']!.toString()),
      },
    ],
  });

  test('a record that was cut off after it was sent is sent again, and is there once', async () => {
    const peer = await startPeer();
    peer.cut('millrace-effect-key');
    const { output } = await produced(order, { settings: settingsAt('127.0.0.1') });
    expect(await peer.effects()).toBe(1);
    expect(output).toMatchObject({ topic: 'orders', offset: expect.stringMatching(/^\d+$/) as string });
    await peer.stop();
  });

  test('a record is not sent again once the claim on its delivery is lost', async () => {
    const peer = await startPeer();
    peer.cut('millrace-effect-key');
    const lost = new Error('the claim is over');
    let asked = 0;
    const requireClaim = (): void => {
      asked += 1;
      if (asked > 1) throw lost;
    };
    const call = { ...callOf(order, { settings: settingsAt('127.0.0.1') }), requireClaim };
    await expect(opened({}).run(call)).rejects.toBe(lost);
    expect([asked, await peer.effects()]).toEqual([2, 1]);
    await peer.stop();
  });

  test('a repeat after an unknown outcome has the effect key of the first record, its partition and its time', async () => {
    const peer = await startPeer();
    const call = { settings: settingsAt('127.0.0.1'), effectKey: uniqueName('effect') };
    peer.lose('millrace-effect-key');
    await failureOf(produced(order, { ...call, timeoutMs: 2_000 }));
    await produced(order, call);
    const repeats = (): [string, KafkaMessage][] =>
      [...cluster.records].filter(([, { headers }]) => headers?.['millrace-effect-key']?.toString() === call.effectKey);
    await waitFor(() => repeats().length === 2, { what: 'both records' });
    const [one, other] = repeats() as [[string, KafkaMessage], [string, KafkaMessage]];
    expect([one[0].split('/')[0], one[1].timestamp]).toEqual([other[0].split('/')[0], other[1].timestamp]);
    expect(await peer.effects()).toBe(2);
    await peer.stop();
  });

  test.each([
    ['PLAIN over TLS', 'secure', { sasl: 'plain', ca: authority }, credential],
    ['SCRAM-SHA-256 over TLS', 'secure', { sasl: 'scram-sha-256', ca: authority }, credential],
    ['SCRAM-SHA-512 over TLS', 'secure', { ca: authority }, credential],
    [
      'a client certificate',
      'mutual',
      { ca: authority },
      { tls: { cert: readFileSync(pem('client.pem'), 'utf8'), key: readFileSync(pem('client.key'), 'utf8') } },
    ],
  ] as const)('is written to by %s', async (_, listener, settings, login) => {
    const at = cluster.ports[listener];
    const { output } = await produced(order, { settings: { brokers: [`127.0.0.1:${at}`], ...settings }, login, port: at });
    expect(output).toMatchObject({ topic: 'orders' });
  });

  test.each([
    ['a server whose authority is not known', 'secure', {}, credential, 'operation.unavailable'],
    [
      'a wrong password by PLAIN',
      'secure',
      { sasl: 'plain', ca: authority },
      { ...credential, password: 'wrong-word' },
      'operation.unauthorized',
    ],
    ['a mechanism that is not offered', 'login', { sasl: 'plain', tls: 'none' }, credential, 'operation.unauthorized'],
    ['no certificate', 'mutual', { ca: authority }, {}, 'operation.unavailable'],
    ['no login where one is asked for', 'login', { tls: 'none' }, {}, 'operation.unavailable'],
  ] as const)('is not written to, and the failure says why: %s', async (_, listener, settings, login, code) => {
    const at = cluster.ports[listener];
    const failed = await failureOf(produced(order, { settings: { brokers: [`127.0.0.1:${at}`], ...settings }, login, port: at }));
    expect(failed).toMatchObject({ code, isUncertain: false });
    expect(failed.message).not.toMatch(/wrong-word|secret/);
  });

  test('a broker of the list that does not answer is passed over', async () => {
    const { secure } = cluster.ports;
    const settings = { brokers: [`127.0.0.1:${await freePort()}`, `127.0.0.1:${secure}`], ca: authority };
    expect((await produced(order, { settings, isOpen: true })).output).toMatchObject({ topic: 'orders' });
  });

  test('the address that a broker advertises is guarded like those of the list', async () => {
    const { astray } = cluster.ports;
    const settings = { brokers: [`127.0.0.1:${astray}`], tls: 'none' };
    const failed = await failureOf(produced(order, { settings, login: {}, port: astray }));
    expect(failed).toMatchObject({ code: 'operation.addressForbidden', outcome: 'deadLetter' });
    expect(failed.message).toContain('advertised.listeners');
  });

  test('a topic beyond those of the connection is refused, and a test looks at those', async () => {
    const { secure } = cluster.ports;
    const settings = { brokers: [`127.0.0.1:${secure}`], ca: authority, topics: ['short'] };
    expect(await failureOf(produced(order, { settings, port: secure }))).toMatchObject({ code: 'operation.inputInvalid' });
    expect(await tested({ settings, port: secure })).toMatchObject({ isAccepted: true, account: 'millrace' });
    const none = await tested({ settings: { ...settings, topics: ['short', 'none'] }, port: secure });
    expect(none).toMatchObject({ isAccepted: false, message: expect.stringContaining('UNKNOWN_TOPIC_OR_PARTITION') as string });
  });

  test('a key goes to the partition that Java’s clients choose, bytes arrive as they are, and no value is none', async () => {
    const { secure } = cluster.ports;
    const at = { settings: { brokers: [`127.0.0.1:${secure}`], ca: authority }, port: secure };
    const keyed = await produced({ topic: 'orders', key: 'customer-7', base64: 'AP/+' }, at);
    expect(keyed.output).toMatchObject({ partition: 1 }); // of Utils.toPositive(Utils.murmur2(key)) % 3
    expect(await seenIn(({ value }) => value!.toString('base64'))(undefined, keyed)).toBe('AP/+');
    const gone = await produced({ topic: 'orders', key: 'customer-7', value: null }, at);
    expect(await seenIn(({ value }) => value)(undefined, gone)).toBeNull();
    const placed = await produced({ topic: 'orders', key: 'customer-7', text: '', partition: 2 }, at);
    expect(placed.output).toMatchObject({ partition: 2 });
  });

  test('the timestamp is that of the first attempt, or of the broker where the topic says so', async () => {
    const { secure } = cluster.ports;
    const at = { settings: { brokers: [`127.0.0.1:${secure}`], ca: authority }, port: secure };
    expect((await produced(order, at)).output).toMatchObject({ timestamp: firstAttemptAt.toISOString() });
    const { timestamp } = (await produced({ ...order, topic: 'stamped' }, at)).output as { timestamp: string };
    expect(Date.parse(timestamp)).toBeGreaterThan(firstAttemptAt.getTime());
  });

  test('a quota that is used up ends an operation before it sends anything', async () => {
    const { kafka, ports } = cluster;
    const java = await javaCommand();
    const quota = ['--alter', '--add-config', 'producer_byte_rate=100', '--entity-type', 'users', '--entity-name', 'slow'];
    await promisify(execFile)(...java('kafka.admin.ConfigCommand', '--bootstrap-server', kafka.brokers[0]!, ...quota));
    const settings = { brokers: [`127.0.0.1:${ports.secure}`], ca: authority };
    const connectors = opened({ port: ports.secure });
    const call = callOf({ topic: 'orders', text: 'x'.repeat(3_000) }, { settings, login: { username: 'slow', password } });
    await connectors.run(call);
    const before = await countOf(cluster);
    const failed = await failureOf(connectors.run(call));
    expect(failed).toMatchObject({ code: 'operation.limited', peer: 'limited', isUncertain: false });
    expect(failed.retryAfterMs).toBeGreaterThan(5_000);
    expect(await countOf(cluster)).toBe(before);
  });

  test('a broker that is killed was sent nothing, and is written to again when it is back', async () => {
    const { kafka, ports } = cluster;
    const connectors = opened({ port: ports.secure });
    const call = callOf(order, { settings: { brokers: [`127.0.0.1:${ports.secure}`], ca: authority }, effectKey: uniqueName('effect') });
    await connectors.run(call);
    const before = await countOf(cluster);
    await kafka.kill(1);
    const failed = await failureOf(connectors.run(call));
    expect(failed).toMatchObject({ code: 'operation.unavailable', peer: 'unreachable', isUncertain: false });
    await kafka.start(1);
    await connectors.run(call);
    expect(await countOf(cluster)).toBe(before + 1);
  });
});

test('the local broker of a laptop is written to as well', async () => {
  const [address] = testBrokers() as [string];
  const topic = uniqueName('tenant');
  const admin = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await createTopics(admin, [{ topic, numPartitions: 2, replicationFactor: 1 }]);
  const call = { settings: { brokers: [address], tls: 'none' }, login: {}, port: Number(address.split(':')[1]) };
  expect((await produced({ topic, key: 'a', text: 'b' }, call)).output).toMatchObject({ topic, offset: '0' });
  expect(await tested(call)).toMatchObject({ isAccepted: true });
  await admin.disconnect();
});

const firstAttemptAt = new Date('2026-01-02T10:00:00.000Z');

interface CallParts {
  readonly settings: { readonly [name: string]: Json };
  readonly login?: Partial<Login>;
  readonly effectKey?: string;
  readonly timeoutMs?: number;
}

function producing(input: { [name: string]: Json }) {
  return { operation: 'produce', input: { value: 1, ...input } };
}

function nothing(): void {}

function callOf(input: Json, { settings, login = credential, effectKey = 'key-1', timeoutMs = 10_000 }: CallParts) {
  const authorizer = {
    login: () => Promise.resolve({ ...login, secrets: [password], version: 1 }),
    accepted: () => undefined,
    refused: () => Promise.resolve(false),
    account: () => Promise.resolve({}),
    authorize: () => Promise.reject(new Error('no HTTP')),
  };
  const connection = { tenant: 'acme', name: 'events', connector: 'kafka', settings, authorizer, timeoutMs };
  return { connection, operation: 'produce', input, effectKey, firstAttemptAt, signal: new AbortController().signal };
}

/** Connectors that reach one inner port only, or all. */
function opened({ port, isOpen = port === undefined }: { port?: number; isOpen?: boolean }): Connectors {
  const http = new HttpClient({ allowPrivateAddresses: isOpen, allowedUrls: port === undefined ? [] : [`kafka://127.0.0.1:${port}`] });
  const connectors = new Connectors({ http });
  onTestFinished(async () => {
    await connectors.close();
    await http.close();
  });
  return connectors;
}

async function produced(
  input: Json,
  call: Partial<CallParts> & { readonly port?: number; readonly isOpen?: boolean } = {},
): Promise<OperationResult> {
  return opened(call).run(callOf(input, { settings: {}, ...call }));
}

async function tested(call: CallParts & { readonly port: number }) {
  const { connection, signal } = callOf(null, call);
  return probe(connection, { connectors: opened(call), renew: () => Promise.resolve(false), signal });
}
