import { z } from 'zod';
import { query } from '../operations/operation.js';
import { entity, enumeration, id, inputObject, pageArguments, pageOf, timestamp } from '../operations/shape.js';

export const customer = entity(
  'Customer',
  {
    id: id.describe('The id, `cus_…`, for `node`. Filters take the key instead.'),
    key: z.string().describe('The name that the partner uses. `-/SOURCE` stands for events whose source names no customer.'),
    firstEventAt: timestamp.describe('When its first event was received.'),
    lastEventAt: timestamp.describe('When its last event was received.'),
  },
  { idPrefix: 'cus', about: 'The party that events are about: the partition key within a tenant, as the partner knows it.' },
);
export type CustomerRow = z.infer<typeof customer>;

export const customerOrder = enumeration(
  'CustomerOrder',
  {
    lastEvent: 'The last heard of first. A customer moves while you page, so one may be missed; use KEY to see each exactly once.',
    key: 'By key, in ascending order.',
  },
  'The order of a list of customers.',
);
export type CustomerOrder = z.infer<typeof customerOrder>;

export const customerFilter = inputObject(
  'CustomerFilter',
  {
    keyPrefix: z.string().nullish().describe('The beginning of the customer’s key.'),
  },
  'Which customers a list has.',
);
export type CustomerFilter = z.infer<typeof customerFilter>;

export const getCustomer = query({
  name: 'customer',
  about: 'A customer by its key; null if there is none.',
  scope: 'read',
  input: z.strictObject({ key: z.string().describe('The key of the customer, as the partner writes it.') }),
  output: customer.nullable(),
  failures: [],
});

export const listCustomers = query({
  name: 'customers',
  about: 'The customers of the tenant, the last heard of first unless `orderBy` says otherwise.',
  scope: 'read',
  cost: { weight: 5 },
  input: z.strictObject({
    ...pageArguments,
    filter: customerFilter.nullish().describe('Only the rows that meet all of these conditions; default: every row.'),
    orderBy: customerOrder.default('lastEvent').describe('The order of the rows.'),
  }),
  output: pageOf(customer),
  failures: [],
});
