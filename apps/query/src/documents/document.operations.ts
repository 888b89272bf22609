import { z } from 'zod';
import { describedDocumentKinds, mostDocumentsAtOnce as maxDocuments } from '#libs/contracts';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, inputObject, json, timestamp } from '../operations/shape.js';

export const documentKind = enumeration('DocumentKind', describedDocumentKinds, 'The kind of a document, spelled as in documents.');
export const changeKind = enumeration(
  'ChangeKind',
  {
    created: 'There was no such document.',
    changed: 'It replaces another version.',
    unchanged: 'The current version says the same; no version is added.',
    removed: 'It was taken out of use.',
  },
  'What an apply or a removal does to a document.',
);

export const document = entity(
  'Document',
  {
    kind: documentKind.describe('What it declares.'),
    name: z.string().describe('Its name, unique among documents of its kind.'),
    version: z.int().describe('Counts from 1; each change adds one.'),
    createdAt: timestamp.describe('When this version was applied.'),
    createdBy: z.string().describe('Who applied this version: `key:` with the id of a key, or `operator`.'),
  },
  { about: 'The current version of a document as it was applied.' },
);

export const fieldDifference = entity(
  'FieldDifference',
  {
    path: z.string().describe('Such as `spec.steps.0.infer.model`.'),
    before: json.describe('Null if the field is new.'),
    after: json.describe('Null if the field is gone.'),
  },
  { about: 'A field in which two versions of a document differ.' },
);
export type FieldDifference = z.infer<typeof fieldDifference>;

export const documentChange = entity(
  'DocumentChange',
  {
    kind: documentKind.describe('The kind of the document.'),
    name: z.string().describe('The name of the document.'),
    change: changeKind.describe('What was done; for a dry run, what would be.'),
    version: z.int().describe('The version after it; for a dry run, the version it would get.'),
    nextFires: z
      .array(timestamp)
      .nullable()
      .describe('For a Schedule that is there after it: the next five ticks, fewer if there are no more. Null for all other documents.'),
    differences: z.array(fieldDifference).describe('Field by field; empty if nothing changed. Secrets appear as fingerprints.'),
  },
  { about: 'What an apply or a removal does to one document.' },
);
export type DocumentChange = z.infer<typeof documentChange>;

export const documentWarning = entity(
  'DocumentWarning',
  {
    path: z.array(z.string()).describe('The place in the input, such as `documents`, `0`, `spec`, `secrets`, `0`.'),
    message: z.string().describe('What about it does not do what it seems to.'),
  },
  { about: 'A part of an applied document that is allowed, and perhaps not what its author meant.' },
);
export type DocumentWarning = z.infer<typeof documentWarning>;

export const listDocuments = query({
  name: 'documents',
  about:
    'The current documents of the tenant, by kind and name. A key without ADMIN gets those whose kind can hold no secret, such as flows; naming\nanother kind is refused.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({ kind: documentKind.nullish().describe('Only documents of this kind; default: all that the key may read.') }),
  output: z.array(document),
  failures: [],
});

export const getDocument = query({
  name: 'document',
  about: 'The current version of a document. A kind that can hold secrets, such as Source or Destination, needs ADMIN.',
  scope: 'read',
  input: z.strictObject({
    kind: documentKind.describe('The kind of the document.'),
    name: z.string().describe('The name of the document.'),
  }),
  output: document.nullable(),
  failures: [],
});

export const expectedVersion = inputObject(
  'ExpectedVersion',
  {
    kind: documentKind.describe('The kind of the document.'),
    name: z.string().describe('The name of the document.'),
    version: z
      .int()
      .min(0, { error: 'must be 0 or more' })
      .describe('The version that the change was made to; 0 for a document that must be new.'),
  },
  'The version of a document that a change was made to.',
);

export type ExpectedVersion = z.infer<typeof expectedVersion>;

export const documentName = inputObject(
  'DocumentName',
  { kind: documentKind.describe('The kind of the document.'), name: z.string().describe('The name of the document.') },
  'Which document of the tenant is meant.',
);
export type DocumentName = z.infer<typeof documentName>;

const entries = { error: `must have 1 to ${maxDocuments} entries` };

export const applyDocuments = command({
  name: 'applyDocuments',
  about:
    'Makes the system what the documents say: all of them or, if one is not acceptable, none. With `dryRun` nothing is changed, and the response is\nwhat would be. What `remove` names is taken out of use in the same transaction.',
  scope: 'admin',
  cost: { weight: 50 },
  input: z.strictObject({
    documents: z
      .array(json.nonoptional())
      .min(1, entries)
      .max(maxDocuments, entries)
      .describe('Up to 200 whole documents, as in a file: `apiVersion`, `kind`, `metadata`, `spec`.'),
    remove: z
      .array(documentName)
      .max(maxDocuments, { error: `may have at most ${maxDocuments} entries` })
      .nullish()
      .describe(
        'Up to 200 documents to take out of use together with the change. What another document would still name stays: nothing is done.',
      ),
    expectedVersions: z
      .array(expectedVersion)
      .max(2 * maxDocuments, { error: `may have at most ${2 * maxDocuments} entries` })
      .nullish()
      .describe(
        'For any of the documents, also those in `remove`: if another version is current, nothing is changed. Default: whichever is current is replaced.',
      ),
    dryRun: z.boolean().default(false).describe('Only compare: nothing is changed.'),
  }),
  result: {
    changes: z.array(documentChange).describe('One per document in the order given, then one per removed document.'),
    warnings: z
      .array(documentWarning)
      .describe(
        'What is allowed and perhaps a mistake, in the order of the documents; then, of what is removed, how many runs that have not ended may need it.',
      ),
    dryRun: z.boolean().describe('True if nothing was changed, because the input asked for that.'),
  },
  failures: ['document.invalid', 'document.versionMismatch', 'secretStore.unavailable'],
});
export type ApplyDocumentsInput = InputOf<typeof applyDocuments>;

export const removeDocument = command({
  name: 'removeDocument',
  about: 'Takes a document out of use; its versions stay for the runs that used them.',
  scope: 'admin',
  cost: { weight: 20 },
  input: z.strictObject({
    kind: documentKind.describe('The kind of the document.'),
    name: z.string().describe('The name of the document.'),
    expectedVersion: z.int().nullish().describe('If another version is current, nothing is removed. Default: whichever is current.'),
  }),
  result: {
    change: documentChange.describe('What was removed.'),
    warnings: z.array(documentWarning).describe('How many runs that have not ended may need it; empty if none does.'),
  },
  failures: ['document.unknown', 'document.invalid', 'document.versionMismatch'],
});
export type RemoveDocumentInput = InputOf<typeof removeDocument>;
