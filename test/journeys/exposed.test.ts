import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { ServiceProcess } from '../forms/service-process.js';

/** One process that other machines can reach gives nothing away without a key, and reaches nothing that a tenant could not reach. */

interface Credentials {
  tenant: string;
  apiKey: string;
  operatorKey: string;
  secrets: Record<string, string>;
}

const root = mkdtempSync(join(tmpdir(), 'millrace-exposed-'));
const directory = join(root, 'data');
let standalone: ServiceProcess;
let credentials: Credentials;

beforeAll(async () => {
  const file = join(directory, 'credentials.json');
  const environment = { HOST: '0.0.0.0', LOG_LEVEL: 'warn', MILLRACE_DIRECTORY: directory };
  standalone = new ServiceProcess('standalone', await freePort(), environment);
  await standalone.start();
  credentials = JSON.parse(readFileSync(file, 'utf8')) as Credentials;
});
afterAll(async () => {
  await standalone.stop();
  rmSync(root, { recursive: true, force: true });
});

const get = (path: string, key?: string) =>
  fetch(standalone.url + path, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } });

test.each(['/metrics', '/sample/crm', '/local-model/v1/models'])('%s needs a key', async (path) => {
  const answers = [await get(path), await get(path, 'wrong'), await get(path, credentials.apiKey)];
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
});

test('the operator sees metrics, the reasons of readiness and what the sample destination got', async () => {
  const { operatorKey } = credentials;
  expect(await (await get('/metrics', operatorKey)).text()).toContain('process_cpu_seconds_total');
  expect(await (await get('/sample/crm', operatorKey)).json()).toEqual(expect.any(Array));
  expect(await (await get('/readyz', operatorKey)).json()).toMatchObject({ status: 'ok', parts: { log: 'ok' } });
});

test('everybody else learns only that the process is alive and ready', async () => {
  expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' });
  expect(await (await get('/readyz')).json()).toEqual({ status: 'ok' });
});

test('nobody scripts failures of the local model', async () => {
  expect((await get('/local-model/faults')).status).toBe(404);
});

test('a delivery reaches the sample destination of the process, and nothing else inside', async () => {
  expect(await deliveredTo('crm', 'ticket-1')).toMatchObject({ state: 'DELIVERED' });
  await graphql('mutation ($documents: [JSON!]!) { applyDocuments(input: { documents: $documents }) { __typename } }', {
    documents: [
      {
        apiVersion: 'millrace/v1',
        kind: 'Destination',
        metadata: { tenant: credentials.tenant, name: 'inner' },
        spec: { kind: 'http', url: `${standalone.url}/local-model/v1/responses`, secret: { value: credentials.secrets['crm'] } },
      },
      {
        apiVersion: 'millrace/v1',
        kind: 'Flow',
        metadata: { tenant: credentials.tenant, name: 'inward' },
        spec: { steps: [{ id: 'tell', deliver: { destination: 'inner', payload: 'event.data' } }] },
      },
    ],
  });
  expect(await deliveredTo('inner', 'ticket-2')).toMatchObject({ state: 'PARKED', errorCode: 'delivery.addressForbidden' });
});

test('nobody else on the machine may read its files', () => {
  const open = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((path) => join(directory, path))
    .filter((path) => existsSync(path) && (statSync(path).mode & 0o077) !== 0);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(open).toEqual([]);
});

interface Delivery {
  destination: string;
  state: string;
  errorCode: string | null;
}

async function deliveredTo(destination: string, id: string): Promise<Delivery> {
  const event = { specversion: '1.0', id, source: 'tickets', type: 'ticket.opened', subject: `of ${id}`, data: { message: 'It broke' } };
  // A new document is in force within a moment of its apply: an event that came before is not repeated, so another one is sent.
  return waitFor(
    async () => {
      const headers = { authorization: `Bearer ${credentials.apiKey}`, 'content-type': 'application/cloudevents+json' };
      const body = JSON.stringify({ ...event, id: `${id}-${Date.now()}` });
      expect((await fetch(`${standalone.url}/v1/events`, { method: 'POST', headers, body })).status).toBe(202);
      return waitFor(() => settledDelivery(destination), { deadlineMs: 3_000, what: 'its delivery' });
    },
    { deadlineMs: 30_000, what: `a delivery to ${destination} to be settled` },
  );
}

async function settledDelivery(destination: string): Promise<Delivery | undefined> {
  const { deliveries } = await graphql<{ deliveries: { nodes: Delivery[] } }>(
    '{ deliveries(first: 50) { nodes { destination state errorCode } } }',
  );
  return deliveries.nodes.find((each) => each.destination === destination && each.state !== 'PENDING');
}

async function graphql<Data>(query: string, variables = {}): Promise<Data> {
  const headers = { authorization: `Bearer ${credentials.apiKey}`, 'content-type': 'application/json' };
  const answer = await fetch(`${standalone.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = (await answer.json()) as { data: Data; errors?: unknown };
  expect(errors).toBeUndefined();
  return data;
}
