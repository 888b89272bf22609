import { z } from 'zod';
import { checkSignedContent, signedContent } from './signed-content.js';

export const certificateScheme = signedContent
  .extend({
    kind: z
      .literal('certificate')
      .describe(
        'A signature made with the key of an X.509 certificate. Each secret of the source is PEM: the trusted root certificates and, if requests do not carry the chain, the chain that begins with the provider’s certificate. No address in a request is ever fetched.',
      ),
    hash: z
      .enum(['sha256', 'sha384', 'sha512'])
      .default('sha256')
      .describe('The hash that is signed, with RSA (PKCS #1 v1.5) or ECDSA (DER).'),
    host: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(8)])
      .describe('The DNS name for which the provider’s certificate must be issued; of several names, any one.'),
    chainHeader: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The header with the chain, the provider’s certificate first: PEM (it may be percent-encoded), or DER in base64 with commas between. Without it the chain stands in the secrets.',
      ),
  })
  .superRefine(checkSignedContent);
