export { BulkOperations, itemStatements } from './bulk-operations.js';
export type { BulkOperationsOptions, ItemStatements } from './bulk-operations.js';
export { BulkOperationTable } from './bulk-operation.table.js';
export type { BulkItem, BulkOperation } from './bulk-operation.table.js';
