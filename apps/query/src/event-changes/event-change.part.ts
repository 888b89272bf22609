import { handle, part } from '../operations/part.js';
import { eventChanged } from './event-change.operations.js';
import { EventChangesConsumer } from './event-changes.consumer.js';
import { EventChanges } from './event-changes.js';

export const eventChangePart = part({
  providers: [EventChanges],
  controllers: [EventChangesConsumer],
  operations: [handle(eventChanged, ({ principal, get }, { filter }) => get(EventChanges).subscribe(principal.tenant, filter ?? {}))],
});
