import { z } from 'zod';
import { marked } from './marks.js';

/**
 * A secret in a document: in the clear on its way in, encrypted (`sealed`) wherever it is stored, and never given out again.
 * `fingerprint` tells two secrets apart in a printed difference without revealing them.
 */
export const secret = marked(
  { kind: 'secret' },
  z.union([
    z.strictObject(
      { value: z.string().min(1).describe('The secret in the clear; encrypted before it is stored.') },
      {
        error: ({ code, input }) =>
          code === 'invalid_type' && input !== undefined
            ? 'must be a secret: write `{ value: … }`, with its text in the place of …'
            : undefined,
      },
    ),
    z
      .strictObject({
        sealed: z
          .string()
          .describe('The encrypted text. Only the installation that encrypted it can open it, for the same tenant, document and field.'),
        fingerprint: z.string().describe('Tells two secrets apart without revealing them.'),
      })
      .describe('The stored form, as `millrace get` prints it.'),
  ]),
).describe('A secret. Write `{ value: … }`; it is returned only in its encrypted form.');
export type Secret = z.infer<typeof secret>;

/**
 * The text of a secret whose document was opened, or of a value that is no secret.
 * @throws Error if it is still sealed, which is a defect of the caller
 */
export function clearText(opened: Secret | string): string {
  if (typeof opened === 'string') return opened;
  if ('value' in opened) return opened.value;
  throw new Error('The secret is still sealed; open its document before its secrets are used');
}
