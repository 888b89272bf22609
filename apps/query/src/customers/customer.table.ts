import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import { onePerKey } from '../operations/per-key.js';
import { loader } from '../operations/part.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Page, ListSource, PageArguments } from '../paging/paging.js';
import type { CustomerFilter, CustomerOrder, CustomerRow } from './customer.operations.js';

const idPrefix = 'cus_';

/** A customer's key as an id that `node` can tell from others. */
export function customerId(key: string): string {
  return idPrefix + Buffer.from(key).toString('base64url');
}

/** The inverse of {@link customerId}; null where the text is not one, or hides a NUL, which no customer's key has. */
export function customerKeyOf(id: string): string | null {
  const key = Buffer.from(id.slice(idPrefix.length), 'base64url').toString('utf8');
  return customerId(key) === id && !key.includes('\u0000') ? key : null;
}

type RawCustomer = Omit<CustomerRow, 'id'>;

const columns = `customer AS "key", first_event_at AS "firstEventAt", last_event_at AS "lastEventAt"`;
const rowOf = ({ key, firstEventAt, lastEventAt }: RawCustomer): CustomerRow => ({
  id: customerId(key),
  key,
  firstEventAt,
  lastEventAt,
});
const lists: Record<CustomerOrder, ListSource<CustomerRow, RawCustomer>> = {
  lastEvent: {
    name: 'customer_by_last_event',
    page: statement('query.customer.byLastEvent.page', `SELECT ${columns} FROM customer_by_last_event_page($1, $2, $3, $4, $5, $6)`),
    count: statement('query.customer.byLastEvent.count', `SELECT customer_by_last_event_count($1, $2, $3) AS found`),
    positionOf: ({ key, lastEventAt }) => ({ key: lastEventAt.toISOString(), id: key }),
    rowOf,
  },
  key: {
    name: 'customer_by_key',
    page: statement('query.customer.byKey.page', `SELECT ${columns} FROM customer_by_key_page($1, $2, $3, $4, $5, $6)`),
    count: statement('query.customer.byKey.count', `SELECT customer_by_key_count($1, $2, $3) AS found`),
    positionOf: ({ key }) => ({ key, id: key }),
    rowOf,
  },
};
const byKeys = statement('query.customer.byKeys', `SELECT ${columns} FROM customers_by_key($1, $2)`);

@Injectable()
export class CustomerTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, order: CustomerOrder, filter: CustomerFilter, page: PageArguments): Promise<Page<CustomerRow>> {
    return this.paging.page(lists[order], tenant, conditions({ ...filter }), page);
  }

  async byKeys(tenant: string, keys: readonly string[]): Promise<(CustomerRow | null)[]> {
    const raws = await this.database.query<RawCustomer>(byKeys, [tenant, keys]);
    return onePerKey(keys, raws.map(rowOf), (row) => row.key);
  }
}

export const customerByKey = loader((get, tenant, keys) => get(CustomerTable).byKeys(tenant, keys));
