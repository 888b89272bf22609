import { once } from 'node:events';
import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text as textOf } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { takesConnections } from '#libs/ports';
import { freshDatabase, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import type { ServiceProcess } from '../forms/service-process.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { helpdesk } from './partner.js';

let form: FourProcesses;
let sink: HttpSink;
let door: ServiceProcess;
let client: Client;

beforeAll(async () => {
  const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
  // Long, so that also on a busy machine the callers are through before the port closes.
  const settings = { STOP_DELAY_MS: '15000', STOP_TIMEOUT_MS: '60000', BODY_MIN_BYTES_PER_SECOND: '0', LOG_LEVEL: 'warn' };
  form = await fourProcesses({ brokers: testBrokers(), logPrefix: `${uniqueName('stop')}.`, databaseUrl, queryDatabaseUrl, settings });
  await form.start();
  sink = await startHttpSink();
  door = form.processes.find(({ service }) => service === 'ingestion')!;
  client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply(tenantDocuments(client.tenant, sink.url));
  await client.accepted(helpdesk('msg_first', 'cust-1', 'Hello'));
}, 120_000);
afterAll(async () => {
  await form.dispose();
  await sink.stop();
});

interface Answer {
  readonly status: number | undefined;
  readonly connection: string | undefined;
  readonly eventIds: unknown;
}

/** Sends a signed webhook; the second half of its body follows when `rest` has resolved. */
async function send(agent: Agent, id: string, rest: Promise<void> = Promise.resolve()): Promise<Answer> {
  const { source, headers, body } = helpdesk(id, `cust-${id.length}`, 'Hello');
  const outgoing = httpRequest(`${door.url}/webhooks/${client.tenant}.${source}`, {
    method: 'POST',
    agent,
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
  });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  const bytes = Buffer.from(body);
  outgoing.write(bytes.subarray(0, 10));
  void rest.then(() => outgoing.end(bytes.subarray(10)));
  const [response] = await answered;
  const { eventIds } = JSON.parse(await textOf(response)) as { eventIds?: unknown };
  return { status: response.statusCode, connection: response.headers.connection, eventIds };
}

const unready = async (): Promise<boolean> => (await fetch(`${door.url}/readyz`)).status === 503;
const requestsEach = 5;

test('a door that is told to stop serves every caller until its port closes, and finishes what is under way', async () => {
  onTestFailed(() => console.log(form.tail()));
  let isUnready = false;
  let sent = 0;
  /** Sends one request after the other, and goes on for a while after the door has become unready. */
  const caller = async (agent: Agent): Promise<Answer[]> => {
    const afterwards: Answer[] = [];
    while (afterwards.length < requestsEach) {
      const wasUnready = isUnready;
      sent += 1;
      const answer = await send(agent, `msg_${sent}`);
      expect(answer).toMatchObject({ status: 200, eventIds: [expect.stringMatching(/^evt_/)] });
      if (wasUnready) afterwards.push(answer);
    }
    return afterwards;
  };
  const [keeping, opening] = [new Agent({ keepAlive: true, maxSockets: 8 }), new Agent({ keepAlive: false })];
  const callers = [...Array.from({ length: 8 }, () => caller(keeping)), ...Array.from({ length: 8 }, () => caller(opening))];
  await waitFor(() => sent > 100, { what: 'the callers to be at work' });
  const slow = Promise.withResolvers<void>();
  const underWay = send(opening, 'msg_slow', slow.promise);
  const stopped = door.stop();
  await waitFor(unready, { what: 'the door to be unready' });
  isUnready = true;
  for (const { connection } of (await Promise.all(callers)).flat()) expect(connection).toBe('close');
  await waitFor(async () => !(await takesConnections(door.port)), { deadlineMs: 60_000, what: 'the port to be closed' });
  slow.resolve();
  expect(await underWay).toMatchObject({ status: 200, connection: 'close', eventIds: [expect.stringMatching(/^evt_/)] });
  expect(await stopped).toBe(0);
}, 120_000);
