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

test('a record that is held alone waits for no other one, not even for that at its place of a log that was replaced', () => {
  const at = (logId: string, offset: number): string => heldAloneKey('acme/-/billing', { logId, offset });
  expect(new Set([at('old', 7), at('new', 7), at('new', 8)]).size).toBe(3);
});

test('a key without a tenant has no owner', () => {
  expect(ownerOfKey('acme')).toBeNull();
});

test('no partner can name the customers that Millrace assigns', () => {
  expect(['-', '-/', '-/billing', 'cus_1', '--', 'a/-'].filter(isReservedCustomer)).toEqual(['-', '-/', '-/billing']);
});
