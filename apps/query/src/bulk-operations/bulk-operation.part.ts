import { handle, part } from '../operations/part.js';
import {
  bulkOperation,
  bulkRedeliver,
  bulkReplay,
  cancelBulkOperation,
  getBulkOperation,
  listBulkOperations,
} from './bulk-operation.operations.js';
import { BulkOperationService } from './bulk-operation.service.js';
import { BulkOperationTable, bulkOperationById } from './bulk-operation.table.js';

export const bulkOperationPart = part({
  providers: [BulkOperationTable, BulkOperationService],
  node: { entity: bulkOperation, find: ({ load }, id) => load(bulkOperationById, id) },
  operations: [
    handle(getBulkOperation, ({ load }, { id }) => load(bulkOperationById, id)),
    handle(listBulkOperations, ({ principal, get }, { filter, ...page }) =>
      get(BulkOperationTable).page(principal.tenant, filter ?? {}, page),
    ),
    handle(bulkReplay, ({ principal, get }, input) => get(BulkOperationService).replay(principal, input)),
    handle(bulkRedeliver, ({ principal, get }, input) => get(BulkOperationService).redeliver(principal, input)),
    handle(cancelBulkOperation, ({ principal, get }, input) => get(BulkOperationService).cancel(principal, input)),
  ],
});
