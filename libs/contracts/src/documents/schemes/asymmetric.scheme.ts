import { z } from 'zod';
import { checkSignedContent, signedContent } from './signed-content.js';

export const asymmetricScheme = signedContent
  .extend({
    kind: z
      .literal('asymmetric')
      .describe('A signature made with the provider’s private key; the secrets of the source are its public keys.'),
    algorithm: z.enum(['ed25519', 'ecdsa-p256-sha256', 'rsa-sha256']).describe('`rsa-sha256` is RSASSA-PKCS1-v1_5.'),
    key: z
      .enum(['pem', 'hex', 'base64', 'whpk'])
      .default('pem')
      .describe(
        'How the public key is written. `hex` and `base64`: a SubjectPublicKeyInfo in DER, or the 32 bytes of an ed25519 key; `whpk`: base64 after the prefix `whpk_`.',
      ),
    ecdsaForm: z
      .enum(['der', 'ieee-p1363'])
      .default('der')
      .describe('How the two numbers of an ECDSA signature are written: as DER, or one after the other.'),
  })
  .superRefine(checkSignedContent);
