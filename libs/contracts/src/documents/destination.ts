import { z } from 'zod';
import { secret } from './secret.js';

export const destinationSpec = z.strictObject({
  kind: z.literal('http').describe('A signed POST (Standard Webhooks).'),
  url: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }),
  secret: secret.describe('The Standard Webhooks signing secret, `whsec_` and base64.'),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/), z.string())
    .default({})
    .describe('Headers added to every request.'),
  timeoutMs: z.int().min(100).max(60_000).default(10_000).describe('Deadline of one attempt, connection included.'),
  retry: z
    .strictObject({
      retries: z.int().min(0).max(20).default(5),
      initialDelayMs: z.int().min(10).max(60_000).default(1_000),
      maxDelayMs: z.int().min(10).max(3_600_000).default(60_000),
    })
    .prefault({})
    .describe('Doubling delays with up to 50 % jitter; a `Retry-After` from the destination is honoured.'),
});
export type DestinationSpec = z.infer<typeof destinationSpec>;
