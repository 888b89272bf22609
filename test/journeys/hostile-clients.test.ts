import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { Gate, freshDatabase, startHttpSink, testBrokers, uniqueName } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { attack, hostileClients } from './hostile-clients.js';
import { helpdesk } from './partner.js';

let form: FourProcesses;
let sink: HttpSink;
let postgres: Gate;
let client: Client;

/** The limit of the memory of a pod of ingestion (`k8s/base/ingestion/deployment.yaml`). */
const limitMegabytes = 512;

beforeAll(async () => {
  const { url, queryUrl } = await freshDatabase();
  postgres = await Gate.before(new URL(url).host);
  await postgres.open();
  const through = (direct: string): string => Object.assign(new URL(direct), { host: postgres.address }).href;
  form = await fourProcesses({
    brokers: testBrokers(),
    logPrefix: `${uniqueName('hostile')}.`,
    databaseUrl: through(url),
    queryDatabaseUrl: through(queryUrl),
    settings: { LOG_LEVEL: 'error', BODY_BUFFER_BYTES: String(8 * 1_048_576), BODY_TIMEOUT_MS: '15000', CONNECTION_LIMIT: '300' },
  });
  await form.start();
  sink = await startHttpSink();
  client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply(tenantDocuments(client.tenant, sink.url));
});
afterAll(async () => {
  await form.dispose();
  postgres.close();
  await sink.stop();
});

/** A webhook on a connection of its own. */
async function acknowledged(id: string): Promise<number> {
  const { source, headers, body } = helpdesk(id, 'cust-1', 'Hello');
  const outgoing = httpRequest(`${form.doors}/webhooks/${client.tenant}.${source}`, {
    method: 'POST',
    agent: new Agent({ keepAlive: false }),
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
  });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode!;
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${form.doors}/metrics`, { headers: { connection: 'close' } })).text();
  return Number(new RegExp(`^${line} (\\S+)`, 'm').exec(text)?.[1]);
}
const memoryMegabytes = async (): Promise<number> => (await metric('process_resident_memory_bytes')) / 1_048_576;

test('a door acknowledges while no flow runs and Postgres is away, and callers who try to hold it harm nobody', async () => {
  onTestFailed(() => console.log(form.tail()));
  await form.aiProcessing.stop();
  postgres.close();
  expect(await Promise.all(Array.from({ length: 20 }, (_, at) => acknowledged(`calm-${at}`)))).toEqual(
    Array.from({ length: 20 }, () => 200),
  );

  const path = `/webhooks/${client.tenant}.helpdesk`;
  const attacks = Promise.all(hostileClients.map((hostile) => attack(hostile, form.doors, path)));
  const over = new AbortController();
  void attacks.finally(() => over.abort());
  const statuses: number[] = [];
  let highestMegabytes = 0;
  while (!over.signal.aborted) {
    statuses.push(await acknowledged(`beside-${statuses.length}`));
    highestMegabytes = Math.max(highestMegabytes, await memoryMegabytes());
  }
  const answers = await attacks;
  for (const [at, { title, answer }] of hostileClients.entries()) {
    const others = answers[at]!.filter((one) => answer !== undefined && !answer.test(one));
    expect(others, `answers to one who ${title}`).toEqual([]);
  }
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(highestMegabytes).toBeLessThan(limitMegabytes);
  for (const code of ['request.malformed', 'request.headTooLarge', 'request.slow'])
    expect(await metric(`millrace_http_unreadable_total\\{code="${code}"\\}`)).toBeGreaterThan(0);
}, 300_000);
