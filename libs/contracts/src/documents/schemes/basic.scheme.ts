import { z } from 'zod';

export const basicScheme = z.strictObject({
  kind: z.literal('basic').describe('HTTP Basic credentials (RFC 7617); each secret is `user:password`. They do not protect the body.'),
});
