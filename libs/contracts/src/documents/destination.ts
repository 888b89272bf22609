import { z } from 'zod';
import { secret } from './secret.js';

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
const retryDelaysMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour];

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
  order: z
    .enum(['strict', 'best-effort'])
    .default('best-effort')
    .describe(
      'Of the deliveries of one customer. `best-effort`: in order as long as attempts succeed; one that waits for a retry lets the others past. `strict`: the others wait, also behind a parked one, until it is redelivered or skipped.',
    ),
  retry: z
    .strictObject({
      delaysMs: z
        .array(
          z
            .int()
            .min(10)
            .max(7 * day),
        )
        .max(50)
        .default(retryDelaysMs),
    })
    .prefault({})
    .describe(
      'How long each retry waits, lengthened by up to 20 % at random; then the delivery is parked. By default 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h. A `Retry-After` from the destination is honoured.',
    ),
  limit: z
    .strictObject({
      concurrency: z.int().min(1).max(1_000).default(16).describe('Attempts under way at once, of all processes together.'),
      perSecond: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('Attempts per second, of all processes together; without it as many as come.'),
    })
    .prefault({})
    .describe('How much this destination takes at once.'),
});
export type DestinationSpec = z.infer<typeof destinationSpec>;
