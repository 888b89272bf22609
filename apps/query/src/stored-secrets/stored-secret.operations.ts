import { z } from 'zod';
import { mostDocumentsAtOnce } from '#libs/contracts';
import { documentKind, documentName } from '../documents/document.operations.js';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, timestamp } from '../operations/shape.js';

export const storedSecret = entity(
  'StoredSecret',
  {
    kind: documentKind.describe('The kind of the document that names it.'),
    name: z.string().describe('The name of that document.'),
    field: z.string().describe('The field of the document, such as `spec.secrets.0`.'),
    path: z.string().describe('The entry of the secret store, below the part of the tenant.'),
    key: z.string().describe('The key within the entry.'),
    readAt: timestamp.describe(
      'When it was last looked for in the store: by the process that answers, or at the apply of the document if that was later.',
    ),
    problem: z
      .string()
      .nullable()
      .describe(
        'Why it could not be had, or cannot be used, when it was last looked for; the document goes on with the secret before. Null if it is in force.',
      ),
    warning: z
      .string()
      .nullable()
      .describe(
        'Why it is in force and all the same not safe, as an apply warns of it; null if nothing is known, also of what only an apply has read.',
      ),
  },
  { about: 'A secret of a document that the secret store of the installation has.' },
);
export type StoredSecretRow = z.infer<typeof storedSecret>;

export const listStoredSecrets = query({
  name: 'storedSecrets',
  about: 'The secrets of documents that the secret store of the installation has, by document. The secrets themselves are never given out.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(storedSecret),
  failures: [],
});

export const refreshSecrets = command({
  name: 'refreshSecrets',
  about:
    'Looks into the secret store at once, which each process does every SECRETS_REFRESH_MS otherwise. A document whose secrets changed there gets a new\nversion.',
  scope: 'admin',
  cost: { weight: 100 },
  input: z.strictObject({
    documents: z
      .array(documentName)
      .max(mostDocumentsAtOnce, { error: `may have at most ${mostDocumentsAtOnce} entries` })
      .nullish()
      .describe('Only the secrets of these documents. Default: all of the tenant.'),
  }),
  result: {
    changed: z.array(z.string()).describe('The documents that got a new version, such as `Source/shop`.'),
    secrets: z.array(storedSecret).describe('All of them, as `storedSecrets` gives them.'),
  },
  failures: ['document.unknown', 'secretStore.unavailable'],
});
export type RefreshSecretsInput = InputOf<typeof refreshSecrets>;
