import { handle, part } from '../operations/part.js';
import { enableDestination, listDestinations } from './destination.operations.js';
import { DestinationService } from './destination.service.js';
import { DestinationTable } from './destination.table.js';

export const destinationPart = part({
  providers: [DestinationTable, DestinationService],
  operations: [
    handle(listDestinations, ({ principal, get }) => get(DestinationTable).list(principal.tenant)),
    handle(enableDestination, ({ principal, get }, input) => get(DestinationService).enable(principal, input)),
  ],
});
