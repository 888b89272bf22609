import { DocumentTable } from '#libs/persistence';
import { fieldsOf, handle, part } from '../operations/part.js';
import { json } from '../operations/shape.js';
import { applyDocuments, document, getDocument, listDocuments, removeDocument } from './document.operations.js';
import { DocumentNames } from './document.names.js';
import { DocumentService } from './document.service.js';
import type { DocumentRow } from './document.service.js';
import { UnendedRunTable } from './unended-run.table.js';

export const documentPart = part({
  providers: [DocumentTable, DocumentNames, DocumentService, UnendedRunTable],
  fields: [
    fieldsOf<DocumentRow>(document, (field) => ({
      content: field(
        json.describe('The whole document; it can be applied again. Its secrets are encrypted.').nonoptional(),
        (row) => row.document,
      ),
    })),
  ],
  operations: [
    handle(listDocuments, ({ principal, get }, { kind }) => get(DocumentService).list(principal, kind)),
    handle(
      getDocument,
      async ({ principal, get }, { kind, name }) =>
        (await get(DocumentService).list(principal, kind)).find((row) => row.name === name) ?? null,
    ),
    handle(applyDocuments, async ({ principal, get, isAbandoned }, input) => ({
      ...(await get(DocumentService).apply(principal, input, isAbandoned)),
      dryRun: input.dryRun,
    })),
    handle(removeDocument, ({ principal, get }, input) => get(DocumentService).remove(principal, input)),
  ],
});
