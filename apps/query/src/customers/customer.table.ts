import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import { onePerKey } from '../graphql/batches.js';
import type { CustomerOrder } from '../generated/schema.js';
import { conditions } from '../paging/filter.js';
import { Paging, listSource } from '../paging/paging.js';
import type { Connection, PageArguments } from '../paging/paging.js';

export interface CustomerRow {
  __typename: 'Customer';
  id: string;
  key: string;
  firstEventAt: Date;
  lastEventAt: Date;
}
export type CustomerPage = Connection<CustomerRow>;

const idPrefix = 'cus_';

/** A customer's key as an id that `node` can tell from others. */
export function customerId(key: string): string {
  return idPrefix + Buffer.from(key).toString('base64url');
}

/** The inverse of {@link customerId}; null where the text is not one. */
export function customerKeyOf(id: string): string | null {
  const key = Buffer.from(id.slice(idPrefix.length), 'base64url').toString('utf8');
  return customerId(key) === id ? key : null;
}

interface Raw {
  key: string;
  firstEventAt: Date;
  lastEventAt: Date;
}

const columns = `customer AS "key", first_event_at AS "firstEventAt", last_event_at AS "lastEventAt"`;
const rowOf = ({ key, firstEventAt, lastEventAt }: Raw): CustomerRow => ({
  __typename: 'Customer',
  id: customerId(key),
  key,
  firstEventAt,
  lastEventAt,
});
const mapping = { idOf: (raw: Raw & { sortKey: string }) => raw.key, rowOf };
const lists = {
  lastEvent: listSource('customer_by_last_event', `${columns}, last_event_at::text AS "sortKey"`, mapping),
  key: listSource('customer_by_key', `${columns}, customer AS "sortKey"`, mapping),
} as const satisfies Record<CustomerOrder, unknown>;
const byKeys = statement('query.customer.byKeys', `SELECT ${columns} FROM customers_by_key($1, $2)`);

@Injectable()
export class CustomerTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, order: CustomerOrder, filter: { keyPrefix?: string | null }, page: PageArguments): Promise<CustomerPage> {
    return this.paging.page(lists[order], tenant, conditions({ ...filter }), page);
  }

  async byKeys(tenant: string, keys: readonly string[]): Promise<(CustomerRow | null)[]> {
    const raws = await this.database.query<Raw>(byKeys, [tenant, keys]);
    return onePerKey(keys, raws.map(rowOf), (row) => row.key);
  }
}
