import { BulkOperations, itemStatements } from '#libs/bulk';
import type { BulkOperationsOptions } from '#libs/bulk';
import { ReplayEvent, topics } from '#libs/contracts';
import type { RecordProducer } from '#libs/messaging';
import type { Database } from '#libs/persistence';

const sources = {
  events: itemStatements({ items: 'replay_of_events_items', count: 'replay_of_events_count' }),
  deadLetters: itemStatements({ items: 'retries_of_dead_letters_items', count: 'replay_of_dead_letters_count', hasDeadLetters: true }),
};

/**
 * Bulk operations that append one `ReplayEvent` per item. An event is replayed with the flow that the operation names, if that takes it; the dead letter
 * of a run only with that run's flow, so that flows which succeeded on its event are left alone, and under the rule of a single retry of it.
 */
export function bulkReplays(
  database: Database,
  producer: RecordProducer,
  options: Pick<BulkOperationsOptions, 'leaseMs' | 'pollMs' | 'clock'>,
): BulkOperations {
  return new BulkOperations(database, {
    ...options,
    kind: 'replay',
    sources,
    append: (command, item, { flow }) =>
      producer.append(topics.commands, ReplayEvent, {
        ...command,
        eventId: item.subject,
        flow: item.flow ?? flow,
        ...(item.flow === null && flow !== null && { onlyIfTaken: true }),
        ...(item.deadLetter !== undefined && { deadLetterId: item.deadLetter }),
      }),
  });
}
