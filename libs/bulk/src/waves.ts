import type { BulkItem } from './bulk-progress.table.js';

/**
 * Splits the items into groups whose commands may be appended at the same time, and keeps their order. No group has two items of one customer: of
 * two appends under way the first may fail and the second succeed.
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
