import { z } from 'zod';
import { json } from '#libs/contracts';
import { vendorStandIns } from '#libs/connectors';
import { clipped, trim } from './sample.system.js';
import type { SampleSystem } from './sample.system.js';

const seed = z
  .strictObject({
    /** By handle. */
    products: z.record(z.string(), z.record(z.string(), json)),
    /** By id, as queries read them. */
    customers: z.record(z.string(), json),
  })
  .partial();
const request = z.looseObject({
  query: z.string(),
  variables: z
    .looseObject({
      id: z.string(),
      tags: z.array(z.string()),
      metafields: z.array(z.looseObject({ ownerId: z.string(), namespace: z.string().optional(), key: z.string(), value: z.string() })),
    })
    .partial()
    .optional(),
});

export async function shopifySystem(): Promise<SampleSystem> {
  const { handle, metafields, products, productFields, customers, tags, refunds } = await vendorStandIns.shopify();
  return {
    handle,
    effectsOf: ({ body }, { status }) => {
      const { data } = request.safeParse(body);
      if (status !== 200 || data === undefined) return [];
      for (const kept of [metafields, products, productFields, customers, tags, refunds]) trim(kept);
      const { query, variables: { id = '', tags: added = [], metafields: set = [] } = {} } = data;
      if (query.includes('tagsAdd(')) return [`Shopify ${shortId(id)} tagged ${added.join(', ')}`];
      if (!query.includes('metafieldsSet(')) return [];
      return set.map(({ ownerId, namespace, key, value }) => {
        const name = namespace === undefined ? key : `${namespace}.${key}`;
        return `Shopify ${shortId(ownerId)} ${name} = ${clipped(value.replaceAll('gid://shopify/', ''))}`;
      });
    },
    put: (content) => {
      const given = seed.parse(content);
      for (const [handleOfProduct, fields] of Object.entries(given.products ?? {})) {
        products.add(handleOfProduct);
        productFields.set(handleOfProduct, fields);
      }
      for (const [id, fields] of Object.entries(given.customers ?? {})) customers.set(id, fields);
    },
    content: () => ({
      products: [...products].map((name) => ({ handle: name, ...productFields.get(name) })),
      customers: Object.fromEntries(customers),
      metafields: Object.fromEntries(metafields),
      tags: [...tags],
    }),
  };
}

/** `Order/5001` of `gid://shopify/Order/5001`. */
function shortId(id: string): string {
  return id.replace(/^gid:\/\/shopify\//, '');
}
