import { z } from 'zod';
import { secret } from '../secret.js';

/** Headers that carry the message itself: a document cannot set them. */
const ownHeaders =
  /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding)|webhook-.*|idempotency-key|traceparent|tracestate|user-agent)$/i;

export const httpDestination = z.strictObject({
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
});
