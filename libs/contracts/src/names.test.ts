import { expect, test } from 'vitest';
import { heldAloneKey, isReservedCustomer, ownerOfKey, recordKey, unnamedCustomer } from './names.js';

test.each(['cus_1', '-', 'a/b/c', '-x/y/z', unnamedCustomer('billing')])('the key of %s names its owner', (customer) => {
  expect(ownerOfKey(recordKey({ tenant: 'acme', customer }))).toEqual({ tenant: 'acme', customer });
});

test('a record that is held alone has the owner that it had', () => {
  const customer = unnamedCustomer('billing');
  expect(ownerOfKey(heldAloneKey(recordKey({ tenant: 'acme', customer }), { logId: 'log', offset: 7 }))).toEqual({
    tenant: 'acme',
    customer,
  });
});

test('a key without a tenant has no owner', () => {
  expect(ownerOfKey('acme')).toBeNull();
});

test('no partner can name the customers that Millrace assigns', () => {
  expect(['-', '-/', '-/billing', 'cus_1', '--', 'a/-'].filter(isReservedCustomer)).toEqual(['-', '-/', '-/billing']);
});
