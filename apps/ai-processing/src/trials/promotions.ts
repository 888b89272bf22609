import { BulkOperations, itemStatements } from '#libs/bulk';
import type { BulkOperationsOptions } from '#libs/bulk';
import { PromoteOutcome, topics } from '#libs/contracts';
import type { RecordProducer } from '#libs/messaging';
import type { Database } from '#libs/persistence';

/** Injection token of the bulk operations that promote outcomes of trials. */
export const promotionOperations = Symbol('promotions');

const sources = { outcomes: itemStatements({ items: 'promotion_of_outcomes_items', count: 'promotion_of_outcomes_count' }) };

/** Bulk operations that append one `PromoteOutcome` per outcome of a trial. */
export function promotions(
  database: Database,
  producer: RecordProducer,
  options: Pick<BulkOperationsOptions, 'leaseMs' | 'pollMs' | 'clock'>,
): BulkOperations {
  return new BulkOperations(database, {
    ...options,
    kind: 'promotion',
    sources,
    append: (command, item, { filter }) =>
      producer.append(topics.commands, PromoteOutcome, { ...command, eventId: item.subject, trialId: String(filter['trial']) }),
  });
}
