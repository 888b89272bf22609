import { z } from 'zod';

export const noneScheme = z.strictObject({
  kind: z
    .literal('none')
    .describe('Requests prove nothing; they are accepted from a list of addresses, and everybody who can send from one can send anything.'),
  addresses: z
    .array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error: 'must be an IP address or a range such as 192.0.2.0/24' }))
    .min(1)
    .max(200)
    .describe(
      'The IP addresses and ranges (CIDR) from which requests are accepted. Behind a proxy, `TRUSTED_PROXIES` of ingestion says whose `X-Forwarded-For` is believed.',
    ),
});
