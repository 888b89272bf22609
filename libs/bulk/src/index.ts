export { BulkOperations, itemStatements } from './bulk-operations.js';
export type { BulkOperationsOptions, ItemStatements } from './bulk-operations.js';
