import { z } from 'zod';
import { secret } from '../secret.js';

export const wsUsernameAuth = z.strictObject({
  kind: z.literal('wsUsername').describe('A UsernameToken in the header of SOAP envelopes (WS-Security).'),
  username: z.string().min(1).max(1_024).describe('The name of the user.'),
  password: secret.describe('The password.'),
  passwordType: z
    .enum(['digest', 'text'])
    .default('digest')
    .describe(
      '`digest`: a digest of the password with a nonce and the time. `text`: the password itself, for systems that keep only a hash of it.',
    ),
});
