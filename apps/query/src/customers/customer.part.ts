import { handle, part } from '../operations/part.js';
import { customer, getCustomer, listCustomers } from './customer.operations.js';
import { CustomerTable, customerByKey, customerKeyOf } from './customer.table.js';

export const customerPart = part({
  providers: [CustomerTable],
  node: {
    entity: customer,
    find: async ({ load }, id) => {
      const key = customerKeyOf(id);
      return key === null ? null : load(customerByKey, key);
    },
  },
  operations: [
    handle(getCustomer, ({ load }, { key }) => load(customerByKey, key)),
    handle(listCustomers, ({ principal, get }, { filter, orderBy, ...page }) =>
      get(CustomerTable).page(principal.tenant, orderBy, filter ?? {}, page),
    ),
  ],
});
