import { z } from 'zod';
import { documentKinds } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, inputObject, json, timestamp, valuesOf } from '../operations/shape.js';

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
  about:
    'The current documents of the tenant, by kind and name. A key without ADMIN gets those whose kind can hold no secret, such as flows; naming\nanother kind is refused.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({ kind: documentKind.nullish() }),
  output: z.array(document),
  failures: [],
});

export const getDocument = query({
  name: 'document',
  about: 'The current version of a document. A kind that can hold secrets, such as Source or Destination, needs ADMIN.',
  scope: 'read',
  input: z.strictObject({ kind: documentKind, name: z.string() }),
  output: document.nullable(),
  failures: [],
});

export const expectedVersion = inputObject('ExpectedVersion', {
  kind: documentKind,
  name: z.string(),
  version: z
    .int()
    .min(0, { error: 'must be 0 or more' })
    .describe('The version that the change was made to; 0 for a document that must be new.'),
});

export type ExpectedVersion = z.infer<typeof expectedVersion>;

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
    expectedVersions: z
      .array(expectedVersion)
      .max(maxDocuments, { error: `may have at most ${maxDocuments} entries` })
      .nullish()
      .describe('For any of the documents: if another version is current, nothing is changed. Default: whichever is current is replaced.'),
    dryRun: z.boolean().default(false),
  }),
  result: { changes: z.array(documentChange).describe('One per document, in the order given.'), dryRun: z.boolean() },
  failures: ['document.invalid', 'document.versionMismatch'],
});
export type ApplyDocumentsInput = InputOf<typeof applyDocuments>;

export const removeDocument = command({
  name: 'removeDocument',
  about: 'Takes a document out of use; its versions stay for the runs that used them.',
  scope: 'admin',
  cost: { weight: 20 },
  input: z.strictObject({
    kind: documentKind,
    name: z.string(),
    expectedVersion: z.int().nullish().describe('If another version is current, nothing is removed. Default: whichever is current.'),
  }),
  result: { change: documentChange },
  failures: ['document.unknown', 'document.invalid', 'document.versionMismatch'],
});
export type RemoveDocumentInput = InputOf<typeof removeDocument>;
