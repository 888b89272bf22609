import { z } from 'zod';
import { secret } from '../secret.js';

// eslint-disable-next-line no-control-regex
const withoutControls = /^[^\u0000-\u001f\u007f]*$/;

export const basicAuth = z.strictObject({
  kind: z.literal('basic').describe('HTTP Basic credentials (RFC 7617).'),
  username: z
    .string()
    .max(1_024)
    .regex(/^[^:]*$/, 'must not contain a colon: the system would read what follows as the password')
    .regex(withoutControls, 'must not contain control characters')
    .describe('The name of the user.'),
  password: secret
    .refine((given) => !('value' in given) || withoutControls.test(given.value), 'must not contain control characters')
    .describe('The password.'),
});
