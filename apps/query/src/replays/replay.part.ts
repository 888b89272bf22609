import { handle, part } from '../operations/part.js';
import { replayEvents } from './replay.operations.js';
import { ReplayService } from './replay.service.js';

export const replayPart = part({
  providers: [ReplayService],
  operations: [handle(replayEvents, ({ principal, get }, input) => get(ReplayService).replay(principal, input))],
});
