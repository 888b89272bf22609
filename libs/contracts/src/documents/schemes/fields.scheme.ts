import { z } from 'zod';

const path = z
  .string()
  .max(200)
  .regex(/^\w+(?:\.\w+)*$/, 'must be names with dots between');

export const fieldsScheme = z
  .strictObject({
    kind: z
      .literal('fields')
      .describe(
        'A code over some fields of a JSON body, which stands in the body itself (Adyen, Mailgun). It protects these fields and nothing else of the request, and the body is parsed to verify it.',
      ),
    algorithm: z.enum(['hmac-sha256', 'hmac-sha512', 'hmac-sha1']).default('hmac-sha256').describe('The hash function of the code.'),
    key: z.enum(['utf8', 'hex', 'base64']).default('utf8').describe('How the secret becomes the key.'),
    each: path
      .optional()
      .describe(
        'The array whose elements carry a signature each; the other paths then begin at an element. Default: the body carries one.',
      ),
    signature: path.describe('The field with the signature.'),
    encoding: z.enum(['hex', 'base64']).default('hex').describe('How the signature is written.'),
    signed: z.array(path).min(1).max(20).describe('The fields that are signed, in this order. One that is absent is signed as empty text.'),
    separator: z.string().max(8).default('').describe('The text between the values of the signed fields.'),
    freeField: path
      .optional()
      .describe(
        'The one signed field whose value can contain the separator. In any other it is refused, because the values could be cut elsewhere.',
      ),
    timestampField: path.optional().describe('The signed field with the timestamp.'),
    timestampUnit: z.enum(['s', 'ms', 'rfc3339']).default('s').describe('Seconds or milliseconds since 1970, or RFC 3339.'),
    toleranceSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .default(300)
      .describe('The largest allowed difference between the timestamp and the current time, earlier or later.'),
    onceField: path
      .optional()
      .describe(
        'The signed field that the provider uses once, such as Mailgun’s token. Within the tolerance, a process of ingestion refuses it with another body.',
      ),
  })
  .superRefine(({ signed, timestampField, freeField, onceField }, context) => {
    for (const [name, field] of Object.entries({ timestampField, freeField, onceField })) {
      if (field === undefined || signed.includes(field)) continue;
      context.addIssue({ code: 'custom', path: [name], message: 'must be one of the signed fields: another one proves nothing' });
    }
    if (onceField !== undefined && timestampField === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['onceField'],
        message: 'needs a timestampField, which says how long it has to be remembered',
      });
    }
  });
