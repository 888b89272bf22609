import { z } from 'zod';
import { event } from '../events/event.operations.js';
import { command } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { id, idempotencyKey, priced } from '../operations/shape.js';

const maxEvents = 100;
const entries = { error: `must have 1 to ${maxEvents} entries` };

export const replayEvents = command({
  name: 'replayEvents',
  about:
    'Runs the flows again on up to 100 events, each as a new generation; the earlier decisions stay. All ids must exist, else nothing is replayed.\nThe same `idempotencyKey` asks for the same replay however often it is sent; with another input it is refused.',
  scope: 'operate',
  cost: { weight: 100 },
  input: z.strictObject({
    ids: z.array(id).min(1, entries).max(maxEvents, entries).describe('The ids of the events, `evt_…`: 1 to 100.'),
    flow: z
      .string()
      .nullish()
      .describe('Only this flow; default: every flow that matches. On the event of a request, only the flow that it names runs.'),
    idempotencyKey,
  }),
  result: {
    commandIds: z.array(id).describe('One command per event, in the order of the ids.'),
    events: priced({ weight: 2, rows: maxEvents }, z.array(event)).describe(
      'The events as they were when the commands were given, in the order of the ids.',
    ),
  },
  aboutResult: 'The commands are on the log; the events’ timelines show their effect.',
  failures: ['event.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type ReplayEventsInput = InputOf<typeof replayEvents>;
