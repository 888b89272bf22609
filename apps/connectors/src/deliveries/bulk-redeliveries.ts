import { BulkOperations, itemStatements } from '#libs/bulk';
import type { BulkOperationsOptions } from '#libs/bulk';
import { Redeliver, topics } from '#libs/contracts';
import type { RecordProducer } from '#libs/messaging';
import type { Database } from '#libs/persistence';

const sources = {
  deliveries: itemStatements({ items: 'redelivery_of_deliveries_items', count: 'redelivery_of_deliveries_count' }),
  deadLetters: itemStatements({ items: 'redelivery_of_dead_letters_items', count: 'redelivery_of_dead_letters_count' }),
};

/** Bulk operations that append a `Redeliver` for each item. */
export function bulkRedeliveries(
  database: Database,
  producer: RecordProducer,
  options: Pick<BulkOperationsOptions, 'leaseMs' | 'pollMs' | 'clock'>,
): BulkOperations {
  return new BulkOperations(database, {
    ...options,
    kind: 'redelivery',
    sources,
    append: (command, item) => producer.append(topics.commands, Redeliver, { ...command, deliveryId: item.subject }),
  });
}
