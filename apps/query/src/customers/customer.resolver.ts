import { Query, Resolver } from '@nestjs/graphql';
import type { QueryCustomerArgs, QueryCustomersArgs, QueryResolvers, RequireFields } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { CustomerTable } from './customer.table.js';
import type { CustomerPage, CustomerRow } from './customer.table.js';

@Resolver()
export class CustomerQueries implements Pick<QueryResolvers, 'customer' | 'customers'> {
  constructor(private readonly table: CustomerTable) {}

  @Query()
  customer(_root: unknown, { key }: QueryCustomerArgs, { loaders }: QueryContext): Promise<CustomerRow | null> {
    return loaders.customer.load(key);
  }

  @Query()
  customers(
    _root: unknown,
    { filter, orderBy, ...page }: RequireFields<QueryCustomersArgs, 'orderBy'>,
    { principal }: QueryContext,
  ): Promise<CustomerPage> {
    return this.table.page(principal.tenant, orderBy, filter ?? {}, page);
  }
}
