import { createAdminApiClient } from '@shopify/admin-api-client';
import { expect, test } from 'vitest';
import { builtInConnectors } from '../built-in.js';
import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { startShopifyStandIn } from './shopify.stand-in.js';

const failed = (code: string, extensions: object = {}) => ({ errors: [{ message: 'no', extensions: { code } }], extensions });
const refusedBy = (field: string) => ({ status: 200, body: { data: { [field]: { userErrors: [{ field: ['x'], message: 'no' }] } } } });
const cost = { cost: { requestedQueryCost: 900, throttleStatus: { currentlyAvailable: 200, restoreRate: 100 } } };
const metafield = (value: string) => ({ metafields: [{ ownerId: 'gid://shopify/Product/1', key: 'topic', value }] });

connectorConformance({
  name: 'shopify',
  start: startShopifyStandIn,
  settings: ({ url }) => ({ base: `${url}/admin/api/2026-10` }),
  writes: [
    { operation: 'setMetafields', input: metafield('billing'), effects: ({ metafields }) => metafields.size },
    { operation: 'setProduct', input: { handle: 'shirt', input: { title: 'Shirt' } }, effects: ({ products }) => products.size },
    { operation: 'addTags', input: { id: 'gid://shopify/Order/1', tags: ['vip'] }, effects: ({ tags }) => tags.size },
    { operation: 'createRefund', input: { input: { orderId: 'gid://shopify/Order/1' } }, effects: ({ refunds }) => refunds.size },
    { operation: 'createWebhook', input: { topic: 'ORDERS_CREATE', uri: 'https://m.example' }, effects: ({ webhooks }) => webhooks.length },
  ],
  answers: [
    { as: 'permanent', ...refusedBy('metafieldsSet') },
    { as: 'permanent', status: 200, body: failed('MAX_COST_EXCEEDED') },
    // (900 − 200) / 100 per second: 7 s.
    { as: 'limited', status: 200, headers: { 'retry-after': '1' }, body: failed('THROTTLED', cost), waitMs: 7_000 },
    { as: 'limited', status: 429, headers: { 'retry-after': String(pauseMs / 1_000) }, body: {} },
    { as: 'credential', status: 200, body: failed('ACCESS_DENIED') },
    { as: 'credential', status: 401, body: { errors: '[API] Invalid API key or access token' } },
    { as: 'credential', status: 402, body: { errors: 'This shop is currently unavailable' } },
    { as: 'uncertain', status: 200, body: failed('INTERNAL_SERVER_ERROR') },
    { as: 'uncertain', status: 503, body: {} },
  ],
  others: [
    refusedBy('productSet'),
    refusedBy('tagsAdd'),
    refusedBy('tagsRemove'),
    refusedBy('refundCreate'),
    refusedBy('webhookSubscriptionCreate'),
    refusedBy('webhookSubscriptionDelete'),
  ],
  lists: [
    {
      operation: 'listProducts',
      input: {},
      count: 600,
      prepare: ({ products }) => {
        for (let at = 0; at < 600; at += 1) products.add(`p-${at}`);
      },
    },
  ],
  hostile: [
    {
      operation: 'setMetafields',
      input: metafield,
      seen: ({ body }) => (body as { variables: ReturnType<typeof metafield> }).variables.metafields[0]!.value,
    },
  ],
});

test('Shopify’s own client is satisfied by the stand-in, with the documents of the operations', async () => {
  const standIn = await startShopifyStandIn();
  const seen: string[] = [];
  const client = createAdminApiClient({
    storeDomain: 'acme.myshopify.com',
    apiVersion: '2026-10',
    accessToken: 'shpat_1',
    retries: 0,
    customFetchApi: (url, init) => {
      const { pathname } = new URL(url);
      seen.push(pathname);
      return fetch(`${standIn.url}${pathname}`, init);
    },
  });
  const { operations } = builtInConnectors().get('shopify')!;
  const documentOf = (name: string): string => operations[name]!.request!.graphql!.document;
  const set = await client.request(documentOf('setMetafields'), { variables: metafield('billing') });
  expect(set.errors).toBeUndefined();
  expect(set.data).toMatchObject({ metafieldsSet: { userErrors: [], metafields: [{ key: 'topic' }] } });
  expect(set.extensions).toMatchObject({ cost: { throttleStatus: { restoreRate: 100 } } });
  standIn.products.add('shirt');
  const listed = await client.request(documentOf('listProducts'), { variables: { after: null } });
  expect(listed.data).toMatchObject({ products: { nodes: [{ handle: 'shirt' }], pageInfo: { hasNextPage: false } } });
  standIn.fault({ status: 200, body: failed('THROTTLED', cost) });
  expect((await client.request(documentOf('listProducts'))).errors).toMatchObject({
    graphQLErrors: [{ extensions: { code: 'THROTTLED' } }],
  });
  expect(new Set(seen)).toEqual(new Set(['/admin/api/2026-10/graphql.json']));
  await standIn.stop();
});
