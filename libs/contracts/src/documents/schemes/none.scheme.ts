import { z } from 'zod';
import { ipAddressOrRange } from '../source-rules.js';

export const noneScheme = z.strictObject({
  kind: z
    .literal('none')
    .describe('Requests prove nothing; they are accepted from a list of addresses, and everybody who can send from one can send anything.'),
  addresses: z
    .array(ipAddressOrRange)
    .min(1)
    .max(200)
    .describe(
      'The IP addresses and ranges (CIDR) from which requests are accepted. Behind a proxy, `TRUSTED_PROXIES` of ingestion says whose `X-Forwarded-For` is believed.',
    ),
});
