import { Stripe } from 'stripe';
import { expect, test } from 'vitest';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { ConnectorHarness, withoutCredential } from '../harness.conformance.js';
import { startStripeStandIn } from './stripe.stand-in.js';

const failed = (error: { [field: string]: string }) => ({ error: { message: 'no', ...error } });
const pause = { 'retry-after': String(pauseMs / 1_000) };

connectorConformance({
  name: 'stripe',
  start: async () => {
    const standIn = await startStripeStandIn();
    standIn.objects.set('refunds', []);
    return standIn;
  },
  settings: ({ url }) => ({ base: url }),
  writes: [
    {
      operation: 'createCustomer',
      input: { email: 'a@example.com', metadata: { order: 'o-1' } },
      effects: ({ objects }) => objects.get('customers')?.length ?? 0,
    },
    { operation: 'createRefund', input: { payment_intent: 'pi_1', amount: 5 }, effects: ({ objects }) => objects.get('refunds')!.length },
    {
      operation: 'createWebhookEndpoint',
      input: { url: 'https://m.example', enabled_events: ['*'] },
      effects: ({ objects }) => objects.get('webhook_endpoints')?.length ?? 0,
    },
  ],
  answers: [
    { as: 'permanent', status: 402, body: failed({ type: 'card_error', code: 'card_declined' }) },
    { as: 'permanent', status: 400, body: failed({ type: 'idempotency_error' }) },
    { as: 'permanent', status: 500, headers: { 'idempotent-replayed': 'true' }, body: failed({ type: 'api_error' }) },
    { as: 'permanent', status: 500, headers: { 'stripe-should-retry': 'false' }, body: failed({ type: 'api_error' }) },
    { as: 'limited', status: 429, headers: pause, body: failed({ code: 'rate_limit' }) },
    { as: 'transient', status: 429, body: failed({ code: 'lock_timeout' }) },
    { as: 'transient', status: 409, body: failed({ type: 'idempotency_error', code: 'idempotency_key_in_use' }) },
    { as: 'uncertain', status: 500, body: failed({ type: 'api_error' }) },
    { as: 'uncertain', status: 502, body: {} },
    { as: 'credential', status: 401, body: failed({ type: 'invalid_request_error' }) },
    { as: 'credential', status: 403, body: failed({ type: 'invalid_request_error' }) },
  ],
  others: [{ status: 404, body: failed({ code: 'resource_missing' }) }],
  hostile: [
    { operation: 'createCustomer', input: (name) => ({ name }), seen: ({ text }) => new URLSearchParams(text).get('name') },
    { operation: 'getCustomer', input: (id) => ({ id }), seen: ({ segments }) => segments[2] },
    { operation: 'getCustomer', input: (text) => ({ id: 'cus_1', expand: [text] }), seen: ({ query }) => query.get('expand[]') },
  ],
  lists: [
    {
      operation: 'listCustomers',
      input: {},
      count: 250,
      prepare: ({ objects }) =>
        void objects.set(
          'customers',
          Array.from({ length: 250 }, (_, at) => ({ id: `cus_${at + 1}`, object: 'customer' })),
        ),
    },
  ],
});

test('Stripe’s own client is satisfied by the stand-in', async () => {
  const standIn = await startStripeStandIn();
  const { hostname, port } = new URL(standIn.url);
  const stripe = new Stripe('sk_test_123', { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
  const first = await stripe.customers.create({ email: 'a@example.com', metadata: { order: 'o-1' } }, { idempotencyKey: 'k-1' });
  const again = await stripe.customers.create({ email: 'a@example.com', metadata: { order: 'o-1' } }, { idempotencyKey: 'k-1' });
  expect([first.id, again.id, first.metadata]).toEqual(['cus_1', 'cus_1', { order: 'o-1' }]);
  await expect(stripe.customers.create({ email: 'b@example.com' }, { idempotencyKey: 'k-1' })).rejects.toThrow(
    Stripe.errors.StripeIdempotencyError,
  );
  expect((await stripe.customers.update('cus_1', { name: 'Ada' })).name).toBe('Ada');
  await expect(stripe.customers.retrieve('cus_9')).rejects.toMatchObject({ code: 'resource_missing' });
  for (let at = 0; at < 24; at += 1) await stripe.customers.create({ name: `c-${at}` });
  const endpoint = await stripe.webhookEndpoints.create({
    url: 'https://m.example',
    enabled_events: ['charge.failed', 'charge.succeeded'],
  });
  expect(endpoint.secret).toMatch(/^whsec_/);
  expect(await stripe.webhookEndpoints.retrieve(endpoint.id)).toMatchObject({ enabled_events: ['charge.failed', 'charge.succeeded'] });
  expect((await stripe.webhookEndpoints.del(endpoint.id)).deleted).toBe(true);
  const ids: string[] = [];
  for await (const { id } of stripe.customers.list({ limit: 10 })) ids.push(id);
  expect(new Set(ids).size).toBe(25);
  await standIn.stop();
});

test.each([[{}], [{ account: 'acct_1' }]])(
  'a request names the connected account if the connection has one: %o',
  async (more: { account?: string }) => {
    const standIn = await startStripeStandIn();
    const settings = (): { [name: string]: string } => ({ base: standIn.url, ...more });
    const harness = new ConnectorHarness({ name: 'stripe', url: standIn.url, settings, authorizer: withoutCredential });
    await harness.run('createCustomer', { name: 'Ada' });
    expect(standIn.requests.map(({ headers }) => headers['stripe-account'])).toEqual([more.account]);
    await harness.close();
    await standIn.stop();
  },
);
