import { BulkOperations, itemStatements } from '#libs/bulk';
import type { BulkOperationsOptions } from '#libs/bulk';
import { Redeliver, topics } from '#libs/contracts';
import { effectsByDestination, refusedRedeliveries } from '#libs/deliveries';
import type { RecordProducer } from '#libs/messaging';
import type { Configuration, Database } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';

const sources = {
  deliveries: itemStatements({ items: 'redelivery_of_deliveries_items', count: 'redelivery_of_deliveries_count' }),
  deadLetters: itemStatements({ items: 'redelivery_of_dead_letters_items', count: 'redelivery_of_dead_letters_count' }),
};

/** Bulk operations that append a `Redeliver` for each item, and leave out what `redeliver` would refuse: its attempt would only be given up again. */
export function bulkRedeliveries(
  { database, producer, configuration }: { database: Database; producer: RecordProducer; configuration: Configuration },
  options: Pick<BulkOperationsOptions, 'leaseMs' | 'pollMs' | 'clock'>,
): BulkOperations {
  return new BulkOperations(database, {
    ...options,
    kind: 'redelivery',
    sources,
    leftOut: async ({ tenant }, items) => {
      await configuration.catchUp(tenant);
      const effects = effectsByDestination(configuration.all(tenant), configuration.documentsOf(tenant), wallTimeMs());
      const ids = items.map(({ subject }) => subject);
      const refused = await database.query<{ id: string; code: string }>(refusedRedeliveries, [tenant, ids, effects]);
      return new Map(refused.map(({ id, code }) => [id, code]));
    },
    append: (command, item) => producer.append(topics.commands, Redeliver, { ...command, deliveryId: item.subject }),
  });
}
