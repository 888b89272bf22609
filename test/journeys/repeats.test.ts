import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { freshDatabase, startHttpSink, testBrokers, uniqueName } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import type { FourProcesses } from '../forms/forms.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { stripe } from './partner.js';
import type { SignedRequest } from './partner.js';

/** A partner that sends one webhook again and again, through a load balancer, to three processes of the door. */
const repeats = 200;
let form: FourProcesses;
let sink: HttpSink;
let client: Client;

beforeAll(async () => {
  const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
  const logPrefix = `${uniqueName('repeats')}.`;
  form = await fourProcesses({
    brokers: testBrokers(),
    logPrefix,
    databaseUrl,
    queryDatabaseUrl,
    doorProcesses: 3,
    settings: { LOG_LEVEL: 'warn' },
  });
  await form.start();
  sink = await startHttpSink();
  client = new Client(form, uniqueName('tenant'), form.operatorKey);
  const custom = { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: 'a shared secret' }], customer: 'body.customer' };
  const withoutIds = { apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: client.tenant, name: 'plain' }, spec: custom };
  await client.apply([...tenantDocuments(client.tenant, sink.url), withoutIds]);
}, 120_000);
afterAll(async () => {
  await form.dispose();
  await sink.stop();
});

function plain(customer: string): SignedRequest {
  const body = JSON.stringify({ customer, description: 'Where is my parcel?' });
  const signature = createHmac('sha256', 'a shared secret').update(body).digest('hex');
  return { source: 'plain', body, headers: { 'content-type': 'application/json', 'x-sig': signature } };
}

/** Sends it at once to all doors in turn, and resolves with the statuses and the ids that were answered, each once. */
async function sendAgainAndAgain({ source, headers, body }: SignedRequest): Promise<{ statuses: number[]; ids: string[] }> {
  const answers = await Promise.all(
    Array.from({ length: repeats }, async (_, at) => {
      const door = form.everyDoor[at % form.everyDoor.length]!;
      const answer = await fetch(`${door}/webhooks/${client.tenant}.${source}`, { method: 'POST', headers, body });
      return { status: answer.status, ids: ((await answer.json()) as { eventIds?: string[] }).eventIds ?? [] };
    }),
  );
  return { statuses: [...new Set(answers.map(({ status }) => status))], ids: [...new Set(answers.flatMap(({ ids }) => ids))] };
}

test.each([
  ['with the partner’s id', 'PROVIDER_EVENT_ID', () => stripe('evt_race', { customer: 'cus_race', description: 'Card declined' })],
  ['without an id, by its bytes', 'BODY', () => plain('cus_plain')],
])(
  'a webhook that comes two hundred times at once at three processes is one event, one run and one delivery: %s',
  async (_, identifiedBy, make) => {
    onTestFailed(() => console.log(form.tail()));
    const request = make();
    const { statuses, ids } = await sendAgainAndAgain(request);
    expect({ statuses, ids }).toEqual({ statuses: [200], ids: [expect.stringMatching(/^evt_/)] });
    const story = await client.delivered(ids[0]!);
    expect((await sendAgainAndAgain(request)).ids).toEqual(ids);
    // An event of the same customer behind them: when it is delivered, every repeat before it was handled.
    const after =
      request.source === 'plain' ? { ...plain('cus_plain'), ...signed(`${request.body} `) } : stripe('evt_after', { customer: 'cus_race' });
    await client.delivered(await client.accepted(after));
    const { runs, deliveries } = await client.delivered(ids[0]!);
    expect([runs.length, runs[0]!.modelAttempts.length, deliveries.length]).toEqual([1, 1, 1]);
    expect(sink.requests.filter(({ body }) => body.toString('utf8').includes(ids[0]!))).toHaveLength(1);
    expect(story.id).toBe(ids[0]);
    const { event } = await client.graphql<{ event: object }>(`{ event(id: "${ids[0]}") { identifiedBy } }`);
    expect(event).toEqual({ identifiedBy });
  },
);

/** The same request with other bytes, such as a space behind its JSON. */
function signed(body: string): Pick<SignedRequest, 'body' | 'headers'> {
  const signature = createHmac('sha256', 'a shared secret').update(body).digest('hex');
  return { body, headers: { 'content-type': 'application/json', 'x-sig': signature } };
}
