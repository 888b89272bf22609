export { BulkOperations, itemStatements } from './bulk-operations.js';
export type { BulkOperationsOptions, ItemStatements } from './bulk-operations.js';
export { BulkProgressTable } from './bulk-progress.table.js';
export type { BulkItem, BulkOperation } from './bulk-progress.table.js';
