import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { readSettings } from '#libs/config';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { standaloneSettings } from './config.js';
import { ask } from './samples.js';
import { startStandalone } from './standalone.js';
import type { Standalone } from './standalone.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-standalone-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function started(settings: Record<string, string> = {}, progress?: (step: string) => void): Promise<Standalone> {
  const environment = { MILLRACE_DIRECTORY: directory, PORT: String(await freePort()), LOG_LEVEL: 'error', ...settings };
  return startStandalone(readSettings('standalone', standaloneSettings, environment), environment, undefined, progress);
}

async function deliveredBy({ credentials: { url, apiKey } }: Standalone, id: string, message = 'It broke'): Promise<void> {
  const event = { specversion: '1.0', id, source: 'tickets', type: 'ticket.opened', subject: 'cust-1', data: { message } };
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/cloudevents+json' };
  const answer = await waitFor(
    async () => {
      const response = await fetch(`${url}/v1/events`, { method: 'POST', headers, body: JSON.stringify(event) });
      return response.status === 202 && response;
    },
    { what: 'the door to know the new key' },
  );
  const { eventIds } = (await answer.json()) as { eventIds: string[] };
  await waitFor(async () => (await (await fetch(`${url}/sample/crm`)).text()).includes(eventIds[0]!), { what: 'the delivery' });
}

test('a start on another port keeps what is there, and the sample destination comes along', async () => {
  const first = await started();
  const page = await (await fetch(`${first.credentials.url}/`)).text();
  for (const address of ['POST /webhooks/', 'POST /v1/events', '/graphql', '/readyz']) expect(page).toContain(address);
  await deliveredBy(first, 'ticket-1');
  await first.stop();
  const second = await started();
  try {
    expect([second.first, second.credentials.apiKey]).toEqual([false, first.credentials.apiKey]);
    expect(second.credentials.url).not.toBe(first.credentials.url);
    await deliveredBy(second, 'ticket-2');
  } finally {
    await second.stop();
  }
}, 60_000);

test('it is ready when there are the samples and the file with the keys, and not before', async () => {
  const port = String(await freePort());
  const ready = async (): Promise<unknown[]> => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    const { parts } = (await response.json()) as { parts: Record<string, string> };
    return [response.status, parts['samples'], existsSync(join(directory, 'credentials.json'))];
  };
  let before: Promise<unknown[]> | undefined;
  const standalone = await started({ PORT: port }, (step) => {
    if (step === 'Creating the sample tenant') before = ready();
  });
  try {
    expect(await before).toEqual([503, 'being prepared', expect.any(Boolean)]);
    expect(await ready()).toEqual([200, undefined, true]);
  } finally {
    await standalone.stop();
  }
}, 60_000);

test('connections to sample systems come along to other ports, and those to other systems stay', async () => {
  const first = await started();
  const { operatorKey, systems } = first.credentials;
  const auth = { kind: 'bearer', token: { value: 'secret' } };
  const connection = (name: string, spec: object) => ({
    apiVersion: 'millrace/v1',
    kind: 'Connection',
    metadata: { tenant: 'acme', name },
    spec,
  });
  const documents = [
    connection('chat', { connector: 'slack', settings: { base: `http://127.0.0.1:${systems!.port}/slack/api` }, auth }),
    connection('mail', {
      connector: 'smtp',
      settings: { host: '127.0.0.1', port: systems!.mailPort, tls: 'none' },
      auth: { kind: 'none' },
    }),
    connection('other', { connector: 'rest', settings: { base: 'http://127.0.0.1:1/x' }, auth: { kind: 'none' } }),
  ];
  await ask(
    { url: first.credentials.url, operatorKey },
    'mutation ($d: [JSON!]!) { applyDocuments(input: { documents: $d }) { __typename } }',
    {
      d: documents,
    },
  );
  await first.stop();
  const holders = [systems!.port, systems!.mailPort].map((port) => createServer().listen(port, '127.0.0.1'));
  await Promise.all(holders.map((holder) => once(holder, 'listening')));
  const second = await started();
  try {
    const now = second.credentials.systems!;
    expect([now.port, now.mailPort].filter((port) => port === systems!.port || port === systems!.mailPort)).toEqual([]);
    const found = await ask<{ documents: { content: { spec: { settings: object } } }[] }>(
      { url: second.credentials.url, operatorKey },
      '{ documents(kind: Connection) { content } }',
    );
    expect(found.documents.map(({ content }) => content.spec.settings)).toEqual([
      { base: `http://127.0.0.1:${now.port}/slack/api` },
      expect.objectContaining({ port: now.mailPort }),
      { base: 'http://127.0.0.1:1/x' },
    ]);
  } finally {
    await second.stop();
    for (const holder of holders) holder.close();
  }
}, 60_000);

test('a data directory from before there were sample systems gets them', async () => {
  const first = await started();
  await first.stop();
  const { systems: _, secrets, ...older } = first.credentials;
  const { systems: token, ...others } = secrets;
  writeFileSync(join(directory, 'credentials.json'), JSON.stringify({ ...older, secrets: others }));
  const second = await started();
  await second.stop();
  expect(second.credentials).toMatchObject({ secrets: others, systems: { port: expect.any(Number), mailPort: expect.any(Number) } });
  expect(token).toMatch(/^[\w-]{32}$/);
  expect(second.credentials.secrets['systems']).toMatch(/^[\w-]{32}$/);
}, 60_000);

test('secrets may stand in files', async () => {
  const operatorKey = 'mr_test_operator_0123456789abcdef0123456789abcdef';
  const modelKey = join(directory, '..', `${basename(directory)}-model-key`);
  const operator = `${modelKey}-operator`;
  writeFileSync(modelKey, 'key-of-the-local-model\n');
  writeFileSync(operator, `${operatorKey}\n`);
  onTestFinished(() => [modelKey, operator].forEach((file) => rmSync(file)));
  const standalone = await started({ OPERATOR_KEY_FILE: operator, LOCAL_MODEL_API_KEY_FILE: modelKey });
  try {
    const { url, operatorKey: used } = standalone.credentials;
    expect(used).toBe(operatorKey);
    const models = (authorization: string) => fetch(`${url}/local-model/v1/models`, { headers: { authorization } });
    expect((await models('Bearer key-of-the-local-model')).status).toBe(200);
    expect((await models('Bearer another')).status).toBe(401);
    await deliveredBy(standalone, 'ticket-1');
  } finally {
    await standalone.stop();
  }
}, 60_000);

test('an event as large as the door takes is judged by the local model and reaches the sample destination', async () => {
  const standalone = await started();
  try {
    await deliveredBy(standalone, 'ticket-1', '"It broke"\n'.repeat(74_000)); // 1 036 000 bytes as JSON, and more where that is written as a text
  } finally {
    await standalone.stop();
  }
}, 60_000);

test('its Postgres is started again after it ended, and readiness says in the meantime that storage is away', async () => {
  const standalone = await started();
  const readiness = async (): Promise<unknown> =>
    ((await (await fetch(`${standalone.credentials.url}/readyz`)).json()) as { status: unknown }).status;
  try {
    await deliveredBy(standalone, 'ticket-1');
    expect(await readiness()).toBe('ok');
    const [pid] = readFileSync(join(directory, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n');
    process.kill(Number(pid), 'SIGKILL');
    await waitFor(async () => (await readiness()) === 'degraded', { what: 'storage to be away' });
    await waitFor(async () => (await readiness()) === 'ok', { what: 'storage to be back', deadlineMs: 30_000 });
    await deliveredBy(standalone, 'ticket-2');
  } finally {
    await standalone.stop();
  }
}, 60_000);

test('a log folder that was emptied while Postgres was kept begins anew, and nothing of it is taken for something old', async () => {
  const first = await started();
  for (const id of ['ticket-1', 'ticket-2']) await deliveredBy(first, id);
  await first.stop();
  rmSync(join(directory, 'log'), { recursive: true });
  const second = await started();
  try {
    for (const id of ['ticket-3', 'ticket-4']) await deliveredBy(second, id);
  } finally {
    await second.stop();
  }
}, 60_000);

test('a start with a model of its own says whether it can be used, and which flows name a model that it does not have', async () => {
  let hasKey = false;
  const server = createServer((request, response) => {
    request.resume();
    const body = request.method === 'GET' ? { data: [{ id: 'some-model' }] } : { error: { message: 'scripted' } };
    response.writeHead(hasKey ? (request.method === 'GET' ? 200 : 400) : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const reportOf = async (): Promise<readonly string[]> => {
    const standalone = await started({ MODEL_BASE_URL: baseUrl, MODEL_API_KEY: 'key' });
    await standalone.stop();
    return standalone.modelReport;
  };
  expect(await reportOf()).toEqual([
    expect.stringMatching(/^cannot be used: .*401/),
    expect.stringContaining('Check MODEL_BASE_URL and MODEL_API_KEY'),
  ]);
  hasKey = true;
  expect(await reportOf()).toEqual([
    `${baseUrl}/chat/completions (lists some-model)`,
    expect.stringContaining('The flow triage names a model that is not listed'),
    expect.stringContaining('millrace -- apply -f flow.yaml'),
  ]);
}, 120_000);
