import { handle, part } from '../operations/part.js';
import { listPulls, startPull } from './pull.operations.js';
import { PullService } from './pull.service.js';
import { PullTable } from './pull.table.js';

export const pullPart = part({
  providers: [PullTable, PullService],
  operations: [
    handle(listPulls, ({ principal, get }) => get(PullTable).list(principal.tenant)),
    handle(startPull, ({ principal, get }, input) => get(PullService).start(principal, input)),
  ],
});
