import { array, assert, constantFrom, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { forbiddenRange, publicLookup } from './address.guard.js';
import { HostAddressForbidden } from './http.errors.js';

/** The inner ranges of IPv4 by their RFCs, written independently of the library under test: first address and prefix length. */
const innerIpv4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
];

const toNumber = (address: string): number => address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0);
const toAddress = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');

const innerAddress = constantFrom(...innerIpv4).chain(([first, length]) =>
  integer({ min: 0, max: 2 ** (32 - length) - 1 }).map((offset) => toAddress(toNumber(first) + offset)),
);

test('every address of every inner IPv4 range is forbidden, in each notation that carries it', () => {
  assert(
    property(innerAddress, (address) => {
      const [a, b, c, d] = address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
      const notations = [
        address,
        `::ffff:${address}`,
        `::ffff:${a}${b}:${c}${d}`,
        `::${a}${b}:${c}${d}`,
        `64:ff9b::${a}${b}:${c}${d}`,
        `2002:${a}${b}:${c}${d}::1`,
      ];
      expect(notations.filter((notation) => forbiddenRange(notation) === null)).toEqual([]);
    }),
  );
});

test('an IPv6 address outside global unicast is forbidden', () => {
  const outside = array(integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 })
    .filter((parts) => parts[0]! < 0x2000 || parts[0]! > 0x3fff)
    .map((parts) => parts.map((part) => part.toString(16)).join(':'));
  assert(
    property(outside, (address) => {
      expect(forbiddenRange(address)).not.toBeNull();
    }),
  );
});

test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '2a00:1450:4001:80b::200e'])(
  '%s is public',
  (address) => expect(forbiddenRange(address)).toBeNull(),
);

test.each(['fe80::1%eth0', 'fd00::1', '::1', '::', 'ff02::1', 'fec0::1', '2001:db8::1', 'localhost', ''])('%s is not public', (address) =>
  expect(forbiddenRange(address)).not.toBeNull(),
);

test('a name with one inner address among its public ones is refused, and nothing is handed to the socket', () => {
  const lookup = publicLookup((_hostname, _options, found) =>
    found(null, [
      { address: '93.184.215.14', family: 4 },
      { address: '10.0.0.7', family: 4 },
    ]),
  );
  lookup('mixed.example', { all: true }, (error, addresses) => {
    expect(error).toBeInstanceOf(HostAddressForbidden);
    expect(error?.message).toBe('mixed.example resolves to 10.0.0.7, a private address; deliveries go to public addresses only');
    expect(addresses).toBe('');
  });
});

test('what the socket gets is what was checked: the name is resolved once, so a second answer of its server changes nothing', () => {
  const answers = ['93.184.215.14', '127.0.0.1'];
  let asked = 0;
  const lookup = publicLookup((_hostname, _options, found) => found(null, [{ address: answers[asked++]!, family: 4 }]));
  lookup('rebinding.example', { all: true }, (error, addresses) => {
    expect(error).toBeNull();
    expect(addresses).toEqual([{ address: '93.184.215.14', family: 4 }]);
  });
  expect(asked).toBe(1);
});
