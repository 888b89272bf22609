import { z } from 'zod';
import { secret } from './secret.js';

/** Headers that carry the message itself: a document cannot set them. */
const ownHeaders =
  /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding)|webhook-.*|idempotency-key|traceparent|tracestate|user-agent)$/i;

export const destinationSpec = z.strictObject({
  kind: z.literal('http').describe('A signed POST (Standard Webhooks).'),
  url: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }),
  secret: secret.describe('The Standard Webhooks signing secret, `whsec_` and base64.'),
  headers: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9-]+$/, 'must be letters, digits and dashes')
        .refine((header) => !ownHeaders.test(header), 'is a header that Millrace sets itself'),
      // eslint-disable-next-line no-control-regex
      z.string().regex(/^[^\u0000-\u001f\u007f-\uffff]*$/, 'must be visible ASCII characters'),
    )
    .default({})
    .describe('Headers added to every request, such as `authorization`.'),
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
