import { expect, test } from 'vitest';
import { AddressList } from './address-list.js';

test('addresses and ranges of both families are found, an IPv4 address also in its IPv6 form', () => {
  const list = new AddressList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  const inside = ['10.1.2.3', '192.0.2.7', '2001:db8::1', '::ffff:10.1.2.3'];
  expect(inside.filter((address) => list.has(address))).toEqual(inside);
  const outside = ['11.0.0.1', '192.0.2.8', '2001:db9::1', '::ffff:11.0.0.1', '', 'localhost', '10.0.0.1:80'];
  expect(outside.filter((address) => list.has(address))).toEqual([]);
  expect(new AddressList([]).has('10.0.0.1')).toBe(false);
});

test.each(['', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '10.0.0', '2001:db8::/129', '10.0.0.0/-1'])(
  '%s is no entry',
  (entry) => {
    expect(() => new AddressList([entry])).toThrow('is no IP address and no range');
  },
);
