import { lookup as resolve } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { HostAddressForbidden } from './http.errors.js';

/** Global unicast, the only part of IPv6 that is routed on the internet (RFC 4291 §2.4, IANA). */
const globalIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** The platform address of Azure: outside every special-purpose range, but answered by the host of the virtual machine, with its credentials. */
const azurePlatform = '168.63.129.16';

/**
 * The range of an address that is not public, such as `private` or `loopback`; null for a public address. The ranges are those of IANA's
 * special-purpose registries. The metadata addresses of clouds lie in them, except for Azure's.
 * IPv6 forms that carry an IPv4 address (mapped, 6to4, NAT64, Teredo, ISATAP) are never public: a gateway decides what they reach.
 */
export function forbiddenRange(address: string): string | null {
  if (!ipaddr.isValid(address)) return 'malformed';
  const parsed = ipaddr.parse(address);
  const range = parsed.range();
  if (range !== 'unicast') return range;
  if (parsed instanceof ipaddr.IPv4) return parsed.toString() === azurePlatform ? 'cloud platform' : null;
  if (!parsed.match(globalIpv6)) return 'reserved';
  return isIsatap(parsed) ? 'isatap' : null;
}

/** An interface identifier that stands for an IPv4 address (RFC 5214 §6.1). The second form has the universal bit set. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return (parts[4] === 0 || parts[4] === 0x200) && parts[5] === 0x5efe;
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
