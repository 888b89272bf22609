import { z } from 'zod';
import { headerSecret } from '../credential.js';

export const bearerAuth = z.strictObject({
  kind: z.literal('bearer').describe('A token that does not change, in `Authorization: Bearer` (RFC 6750).'),
  token: headerSecret.describe('The token, without the word `Bearer`.'),
});
