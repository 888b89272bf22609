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

/** IANA's special-purpose registries for IPv4 and IPv6, and the metadata addresses of clouds: one address that must be refused from each row. */
test.each([
  ['this network (RFC 791)', '0.0.0.0'],
  ['private use (RFC 1918)', '10.0.0.1'],
  ['private use (RFC 1918)', '172.31.255.255'],
  ['private use (RFC 1918)', '192.168.0.1'],
  ['shared address space (RFC 6598)', '100.64.0.1'],
  ['loopback (RFC 1122)', '127.255.255.254'],
  ['link local (RFC 3927)', '169.254.0.1'],
  ['IETF protocol assignments (RFC 6890)', '192.0.0.8'],
  ['documentation (RFC 5737)', '192.0.2.1'],
  ['AS112 (RFC 7535)', '192.31.196.1'],
  ['AMT (RFC 7450)', '192.52.193.1'],
  ['6to4 relay anycast (RFC 7526)', '192.88.99.1'],
  ['direct delegation AS112 (RFC 7534)', '192.175.48.1'],
  ['benchmarking (RFC 2544)', '198.19.255.255'],
  ['documentation (RFC 5737)', '198.51.100.1'],
  ['documentation (RFC 5737)', '203.0.113.1'],
  ['multicast (RFC 5771)', '239.255.255.255'],
  ['reserved (RFC 1112)', '240.0.0.1'],
  ['limited broadcast (RFC 919)', '255.255.255.255'],
  ['unspecified (RFC 4291)', '::'],
  ['loopback (RFC 4291)', '::1'],
  ['IPv4-compatible (RFC 4291)', '::8.8.8.8'],
  ['IPv4-mapped (RFC 4291)', '::ffff:8.8.8.8'],
  ['IPv4-translated (RFC 2765)', '::ffff:0:8.8.8.8'],
  ['NAT64, well-known prefix (RFC 6052)', '64:ff9b::808:808'],
  ['NAT64, local prefix (RFC 8215)', '64:ff9b:1::808:808'],
  ['discard-only (RFC 6666)', '100::1'],
  ['dummy prefix (RFC 9780)', '100:0:0:1::1'],
  ['IETF protocol assignments (RFC 2928)', '2001:100::1'],
  ['Teredo (RFC 4380)', '2001:0:808:808::1'],
  ['port control anycast (RFC 7723)', '2001:1::1'],
  ['benchmarking (RFC 5180)', '2001:2::1'],
  ['AMT (RFC 7450)', '2001:3::1'],
  ['AS112 (RFC 7535)', '2001:4:112::1'],
  ['ORCHID, deprecated (RFC 4843)', '2001:10::1'],
  ['ORCHIDv2 (RFC 7343)', '2001:20::1'],
  ['drone remote id (RFC 9374)', '2001:30::1'],
  ['documentation (RFC 3849)', '2001:db8::1'],
  ['6to4 (RFC 3056)', '2002:808:808::1'],
  ['direct delegation AS112 (RFC 7534)', '2620:4f:8000::1'],
  ['documentation (RFC 9637)', '3fff::1'],
  ['segment routing (RFC 9602)', '5f00::1'],
  ['unique local (RFC 4193)', 'fdff::1'],
  ['link local (RFC 4291)', 'febf::1'],
  ['site local, deprecated (RFC 3879)', 'fec0::1'],
  ['multicast (RFC 4291)', 'ff0e::1'],
  ['ISATAP (RFC 5214)', '2606:4700::5efe:7f00:1'],
  ['ISATAP, universal bit set (RFC 5214)', '2606:4700::200:5efe:a00:1'],
  ['metadata of AWS, Google, Azure, DigitalOcean, Hetzner, OpenStack', '169.254.169.254'],
  ['credentials of tasks on AWS', '169.254.170.2'],
  ['metadata of Tencent', '169.254.0.23'],
  ['metadata of Scaleway', '169.254.42.42'],
  ['metadata of AWS over IPv6', 'fd00:ec2::254'],
  ['metadata of Google over IPv6', 'fd20:ce::254'],
  ['metadata of Alibaba', '100.100.100.200'],
  ['metadata of Oracle', '192.0.0.192'],
  ['platform of Azure', '168.63.129.16'],
])('%s: %s is refused', (_, address) => expect(forbiddenRange(address)).not.toBeNull());

test('the addresses next to the platform address of Azure are public', () => {
  expect(['168.63.129.15', '168.63.129.17'].map(forbiddenRange)).toEqual([null, null]);
});

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
