import { z } from 'zod';
import { addressOrSecret, headersOrSecrets } from '../credential.js';
import { idempotency } from '../idempotency.js';
import { secret } from '../secret.js';

/** Headers that carry the message itself: a document cannot set them. */
const ownHeaders =
  /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding)|webhook-.*|idempotency-key|traceparent|tracestate|user-agent)$/i;

const headerName = z
  .string()
  .regex(/^[A-Za-z0-9-]+$/, 'is no name for a header: it must be letters, digits and dashes')
  .refine((header) => !ownHeaders.test(header), 'is a header that Millrace sets itself, or that belongs to the connection: leave it out');

export const httpDestination = z.strictObject({
  kind: z.literal('http').describe('A signed POST (Standard Webhooks).'),
  url: addressOrSecret.describe(
    'The address that deliveries are posted to: text, or `{ value: … }` if it is a secret. An address with a credential in its path or query is encrypted in either form. A user and a password do not belong in it: use the header `authorization`.',
  ),
  secret: secret.describe('The Standard Webhooks signing secret: `whsec_` and base64 of 24 bytes or more.'),
  headers: headersOrSecrets(headerName)
    .default({})
    .describe(
      'Headers added to every request: text, or `{ value: … }` if it is a secret. Credentials, such as the value of `authorization`, are encrypted in either form.',
    ),
  idempotency: idempotency
    .prefault({ class: 'key' })
    .describe(
      'What makes a delivery take effect once at this destination. It decides whether an attempt whose outcome is unknown is repeated. Default: `{ class: key }`, the promise of Standard Webhooks.',
    ),
});
