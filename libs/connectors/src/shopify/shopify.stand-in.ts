import type { Json } from '#libs/json';
import { startStandIn } from '../stand-in.js';
import type { StandInHandler, StandInResponse, VendorStandIn } from '../stand-in.js';

interface Variables {
  readonly id?: string;
  readonly tags?: readonly string[];
  readonly metafields?: readonly { readonly ownerId: string; readonly key: string; readonly value: string }[];
  readonly input?: { readonly orderId?: string };
  readonly identifier?: { readonly handle: string };
  readonly key?: string;
  readonly after?: string | null;
  readonly topic?: string;
  readonly webhookSubscription?: { readonly uri: string };
}

/** Shopify's Admin API as far as operations use it: objects by natural keys, refunds by idempotency keys, and the cost of every query. */
export interface ShopifyState {
  /** By owner and key. */
  readonly metafields: Map<string, string>;
  readonly products: Set<string>;
  /** Further fields of a product, by its handle. */
  readonly productFields: Map<string, Readonly<Record<string, Json>>>;
  /** The fields of a customer that queries read, by id. */
  readonly customers: Map<string, Json>;
  readonly tags: Set<string>;
  readonly refunds: Set<string>;
  readonly webhooks: { readonly id: string; readonly topic: string; readonly uri: string }[];
}

export type ShopifyStandIn = VendorStandIn & ShopifyState;

const extensions = {
  cost: {
    requestedQueryCost: 10,
    actualQueryCost: 10,
    throttleStatus: { maximumAvailable: 2_000, currentlyAvailable: 1_990, restoreRate: 100 },
  },
};
const done = (data: object): StandInResponse => ({ status: 200, body: { data, extensions } });

export async function startShopifyStandIn(): Promise<ShopifyStandIn> {
  const { handle, ...state } = shopifyStandIn();
  return { ...(await startStandIn(handle)), ...state };
}

export function shopifyStandIn(): ShopifyState & { handle: StandInHandler } {
  const [metafields, products, tags, refunds] = [new Map<string, string>(), new Set<string>(), new Set<string>(), new Set<string>()];
  const [productFields, customers] = [new Map<string, Readonly<Record<string, Json>>>(), new Map<string, Json>()];
  const webhooks: ShopifyState['webhooks'] = [];
  const handle: StandInHandler = ({ body }) => {
    const { query, variables = {} } = body as unknown as { query: string; variables?: Variables };
    if (query.includes('metafieldsSet(')) {
      for (const { ownerId, key, value } of variables.metafields!) metafields.set(`${ownerId} ${key}`, value);
      const set = variables.metafields!.map(({ ownerId, key }) => ({ id: `gid://shopify/Metafield/${ownerId}-${key}`, key }));
      return done({ metafieldsSet: { metafields: set, userErrors: [] } });
    }
    if (query.includes('productSet(')) {
      products.add(variables.identifier!.handle);
      return done({ productSet: { product: { id: `gid://shopify/Product/${products.size}` }, userErrors: [] } });
    }
    if (query.includes('tagsAdd(')) {
      for (const tag of variables.tags!) tags.add(tag);
      return done({ tagsAdd: { node: { id: variables.id }, userErrors: [] } });
    }
    if (query.includes('refundCreate(')) {
      if (!query.includes('@idempotent(key: $key)'))
        return done({ refundCreate: { userErrors: [{ message: '@idempotent is required' }] } });
      refunds.add(variables.key!);
      return done({ refundCreate: { refund: { id: 'gid://shopify/Refund/1' }, userErrors: [] } });
    }
    if (query.includes('webhookSubscriptionCreate(')) {
      const [topic, uri] = [variables.topic!, variables.webhookSubscription!.uri];
      if (webhooks.some((one) => one.topic === topic && one.uri === uri)) {
        const userErrors = [{ field: ['uri'], message: 'Address for this topic has already been taken' }];
        return done({ webhookSubscriptionCreate: { webhookSubscription: null, userErrors } });
      }
      const made = { id: `gid://shopify/WebhookSubscription/${topic}-${webhooks.length + 1}`, topic, uri };
      webhooks.push(made);
      return done({ webhookSubscriptionCreate: { webhookSubscription: made, userErrors: [] } });
    }
    if (query.includes('webhookSubscriptionDelete(')) {
      const at = webhooks.findIndex(({ id }) => id === variables.id);
      if (at >= 0) webhooks.splice(at, 1);
      return done({ webhookSubscriptionDelete: { deletedWebhookSubscriptionId: variables.id, userErrors: [] } });
    }
    if (query.includes('webhookSubscriptions('))
      return done({ webhookSubscriptions: { nodes: webhooks, pageInfo: { hasNextPage: false } } });
    if (query.includes('products(')) {
      const start = Number(variables.after ?? 0);
      const nodes = [...products]
        .slice(start, start + 250)
        .map((name) => ({ id: `gid://shopify/Product/${name}`, handle: name, ...productFields.get(name) }));
      const end = start + 250;
      return done({ products: { nodes, pageInfo: { hasNextPage: end < products.size, endCursor: String(end) } } });
    }
    if (query.includes('customer(')) return done({ customer: customers.get(variables.id ?? '') ?? null });
    return done({ shop: { name: 'Acme' } });
  };
  return { handle, metafields, products, productFields, customers, tags, refunds, webhooks };
}
