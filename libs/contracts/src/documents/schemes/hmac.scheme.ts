import { z } from 'zod';
import { checkSignedContent, signedContent } from './signed-content.js';

export const hmacScheme = signedContent
  .extend({
    kind: z.literal('hmac').optional().describe('A code made with a shared secret (HMAC); the default.'),
    algorithm: z
      .enum(['hmac-sha256', 'hmac-sha512', 'hmac-sha1', 'sha256'])
      .default('hmac-sha256')
      .describe(
        'The hash function of the code. `sha256` is the plain hash of the secret followed by the signed text, as HubSpot’s older versions have it; choose it only for a provider that has nothing better.',
      ),
    key: z
      .enum(['utf8', 'hex', 'base64', 'whsec'])
      .default('utf8')
      .describe('How the secret becomes the key; `whsec`: base64 after the prefix `whsec_`.'),
  })
  .superRefine(checkSignedContent);
