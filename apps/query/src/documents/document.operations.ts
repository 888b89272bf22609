import { z } from 'zod';
import { documentKinds } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, json, timestamp, valuesOf } from '../operations/shape.js';

export const documentKind = enumeration('DocumentKind', valuesOf(documentKinds), 'Spelled as in documents.');
export const changeKind = enumeration('ChangeKind', { created: null, changed: null, unchanged: null, removed: null });

export const document = entity('Document', {
  kind: documentKind,
  name: z.string(),
  version: z.int(),
  createdAt: timestamp,
  createdBy: z.string(),
});

export const fieldDifference = entity('FieldDifference', {
  path: z.string().describe('Such as `spec.steps.0.infer.model`.'),
  before: json.describe('Null if the field is new.'),
  after: json.describe('Null if the field is gone.'),
});
export type FieldDifference = z.infer<typeof fieldDifference>;

export const documentChange = entity('DocumentChange', {
  kind: documentKind,
  name: z.string(),
  change: changeKind,
  version: z.int().describe('The version after it; for a dry run, the version it would get.'),
  differences: z.array(fieldDifference).describe('Field by field; empty if nothing changed. Secrets appear as fingerprints.'),
});
export type DocumentChange = z.infer<typeof documentChange>;

export const listDocuments = query({
  name: 'documents',
  about: 'The current documents of the tenant, by kind and name.',
  scope: 'admin',
  cost: { weight: 10 },
  input: z.strictObject({ kind: documentKind.nullish() }),
  output: z.array(document),
  failures: [],
});

export const getDocument = query({
  name: 'document',
  scope: 'admin',
  input: z.strictObject({ kind: documentKind, name: z.string() }),
  output: document.nullable(),
  failures: [],
});

const maxDocuments = 200;
const entries = { error: `must have 1 to ${maxDocuments} entries` };

export const applyDocuments = command({
  name: 'applyDocuments',
  about:
    'Makes the system what the documents say: all of them or, if one is not acceptable, none. With `dryRun` nothing is changed, and the response is\nwhat would be.',
  scope: 'admin',
  cost: { weight: 50 },
  input: z.strictObject({
    documents: z
      .array(json.nonoptional())
      .min(1, entries)
      .max(maxDocuments, entries)
      .describe('Up to 200 whole documents, as in a file: `apiVersion`, `kind`, `metadata`, `spec`.'),
    dryRun: z.boolean().default(false),
  }),
  result: { changes: z.array(documentChange).describe('One per document, in the order given.'), dryRun: z.boolean() },
  failures: ['document.invalid'],
});
export type ApplyDocumentsInput = InputOf<typeof applyDocuments>;

export const removeDocument = command({
  name: 'removeDocument',
  about: 'Takes a document out of use; its versions stay for the runs that used them.',
  scope: 'admin',
  cost: { weight: 20 },
  input: z.strictObject({ kind: documentKind, name: z.string() }),
  result: { change: documentChange },
  failures: ['document.unknown', 'document.invalid'],
});
export type RemoveDocumentInput = InputOf<typeof removeDocument>;
