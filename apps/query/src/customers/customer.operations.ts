import { z } from 'zod';
import { query } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const customer = entity(
  'Customer',
  { id, key: z.string(), firstEventAt: timestamp, lastEventAt: timestamp },
  { idPrefix: 'cus', about: 'The party that events are about: the partition key within a tenant, as the partner knows it.' },
);
export type CustomerRow = z.infer<typeof customer>;

export const customerOrder = enumeration('CustomerOrder', {
  lastEvent: 'The last heard of first. A customer moves while you page, so one may be missed; use KEY to see each exactly once.',
  key: null,
});
export type CustomerOrder = z.infer<typeof customerOrder>;

export const customerFilter = inputObject('CustomerFilter', {
  keyPrefix: z.string().nullish().describe('The beginning of the customer’s key.'),
});
export type CustomerFilter = z.infer<typeof customerFilter>;

export const getCustomer = query({
  name: 'customer',
  scope: 'read',
  input: z.strictObject({ key: z.string() }),
  output: customer.nullable(),
  failures: [],
});

export const listCustomers = query({
  name: 'customers',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({ ...pageArguments, filter: customerFilter.nullish(), orderBy: customerOrder.default('lastEvent') }),
  output: pageOf(customer),
  failures: [],
});
