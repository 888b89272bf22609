import { BlockList, isIP } from 'node:net';

/** A list of IP addresses and ranges (CIDR), such as `10.0.0.0/8, 2001:db8::/32, 192.0.2.7`. An IPv4 address is also found in its IPv6 form. */
export class AddressList {
  private readonly ranges = new BlockList();

  /** @throws Error that names the entry which is no address and no range */
  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const range = rangeOf(entry);
      if (range === undefined) throw new Error(`${entry} is no IP address and no range such as 10.0.0.0/8`);
      this.ranges.addSubnet(range.address, range.length, range.family);
    }
  }

  has(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.ranges.check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

export function isAddressRange(entry: string): boolean {
  return rangeOf(entry) !== undefined;
}

function rangeOf(entry: string): { address: string; length: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address = '', prefix, ...more] = entry.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
  if (family === 0 || more.length > 0 || !(length <= bits)) return undefined;
  return { address, length, family: family === 4 ? 'ipv4' : 'ipv6' };
}
