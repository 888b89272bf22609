import { lookup as resolve } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { HostAddressForbidden } from './http.errors.js';

/** Global unicast, the only part of IPv6 that is routed on the internet (RFC 4291 §2.4, IANA). */
const globalIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * The range of an address that is not public, such as `private` or `loopback`; null for a public address.
 * IPv6 forms that carry an IPv4 address (mapped, 6to4, NAT64, Teredo) are never public: a gateway decides what they reach.
 */
export function forbiddenRange(address: string): string | null {
  if (!ipaddr.isValid(address)) return 'malformed';
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (range !== 'unicast') return range;
  return parsed.kind() === 'ipv6' && !parsed.match(globalIpv6) ? 'reserved' : null;
}

/** @throws HostAddressForbidden */
export function requirePublic(host: string, address: string): void {
  const range = forbiddenRange(address);
  if (range !== null) throw new HostAddressForbidden(host, address, range);
}

/** Has the signature of `dns.lookup` with `all`. */
export type Resolve = (
  hostname: string,
  options: { all: true; family: number | 'IPv4' | 'IPv6'; hints: number },
  found: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Makes a `lookup` for sockets that resolves once and fails unless every address is public. The socket connects to the addresses that were
 * checked, so a name that resolves to another address a moment later (DNS rebinding) gains nothing.
 */
export function publicLookup(resolveAll: Resolve = resolve): LookupFunction {
  return (hostname, options, done) => {
    resolveAll(hostname, { all: true, family: options.family ?? 0, hints: options.hints ?? 0 }, (error, addresses) => {
      if (error !== null) return done(error, '');
      try {
        for (const { address } of addresses) requirePublic(hostname, address);
      } catch (forbidden) {
        return done(forbidden as Error, '');
      }
      const [first] = addresses;
      if (first === undefined) return done(new Error(`${hostname} resolves to no address`), '');
      return options.all ? done(null, addresses) : done(null, first.address, first.family);
    });
  };
}
