import { z } from 'zod';
import { marked } from './marks.js';

const segment = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9_.-]+';
const placePattern = new RegExp(`^${segment}(?:/${segment})*$`);

/** The place of a secret in the secret store of the installation, below the place of its tenant. */
export const storedSecretReference = z.strictObject({
  path: z
    .string()
    .max(200)
    .regex(
      placePattern,
      'must be names of letters, digits, dots, dashes and underscores, divided by slashes; `.` and `..` are not allowed among them',
    )
    .describe('The entry of the secret store, below the part of it that belongs to the tenant, such as `partners/stripe`.'),
  key: z
    .string()
    .max(100)
    .regex(new RegExp(`^${segment}$`), 'must be letters, digits, dots, dashes and underscores, and not `.` or `..` alone')
    .default('value')
    .describe('The key within the entry.'),
});
export type StoredSecretReference = z.infer<typeof storedSecretReference>;

const from = storedSecretReference.describe(
  'Where the secret store has it. It is read when the document is applied, and again when it changes there.',
);

/**
 * A secret in a document: in the clear on its way in, encrypted (`sealed`) wherever it is stored, and never given out again. One that the secret store
 * has is named by `from`, which stays beside what was read. `fingerprint` tells two secrets apart in a printed difference without revealing them.
 */
export const secret = marked(
  { kind: 'secret' },
  z.union([
    z.strictObject(
      {
        value: z.string().min(1).describe('The secret in the clear; encrypted before it is stored.'),
        from: from.optional().describe('Never given: how a document is kept between the reading of its secrets and their encryption.'),
      },
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
        from: from.optional(),
      })
      .describe('The stored form, as `millrace get` prints it.'),
    z.strictObject({ from }).describe('A secret that the secret store of the installation has.'),
  ]),
).describe(
  'A secret. Write `{ value: … }`, or `{ from: { path: …, key: … } }` for one of the secret store; it is returned only in its encrypted form.',
);
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
