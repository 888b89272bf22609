import type { BulkItem } from './bulk-operation.table.js';

/**
 * The items in their order, in groups that may be appended at once: none has two items of one customer, for of two appends under way the
 * first may fail and the second succeed.
 */
export function* waves(items: readonly BulkItem[], atMost: number): Generator<readonly BulkItem[]> {
  let wave: BulkItem[] = [];
  const customers = new Set<string>();
  for (const item of items) {
    if (wave.length === atMost || customers.has(item.customer)) {
      yield wave;
      wave = [];
      customers.clear();
    }
    wave.push(item);
    customers.add(item.customer);
  }
  if (wave.length > 0) yield wave;
}
