import { z } from 'zod';
import { command, query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { commandId, entity, enumeration, idempotencyKey, timestamp } from '../operations/shape.js';

export const destinationState = enumeration(
  'DestinationState',
  {
    active: 'Deliveries are sent.',
    open: 'It failed too often: nothing is sent until `until`, then a few deliveries find out whether it is back.',
    limited: 'It asked for a pause until `until`.',
    disabled: 'It answered 410: what is due is parked, until it is enabled or a new version of its document is applied.',
  },
  'Whether a destination gets deliveries.',
);

export const destination = entity(
  'Destination',
  {
    name: z.string().describe('The name of its document.'),
    state: destinationState.describe('Whether it gets deliveries.'),
    since: timestamp.nullable().describe('When it entered this state; null if it is active.'),
    until: timestamp.nullable().describe('When an OPEN destination is probed, or a LIMITED one is active again; null otherwise.'),
    reason: z.string().nullable().describe('The code of the failure that led to the state.'),
    promise: z
      .string()
      .describe(
        'How often a delivery takes effect there, in one sentence; it follows from the idempotency class of its document or its operation.',
      ),
  },
  { about: 'A system that decisions are delivered to.' },
);
export type DestinationRow = z.infer<typeof destination>;

export const listDestinations = query({
  name: 'destinations',
  about: 'The destinations of the tenant with their states, by name.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(destination),
  failures: [],
});

export const enableDestination = command({
  name: 'enableDestination',
  about:
    'Delivers to a destination again that answered 410, and forgets its earlier failures. What was parked meanwhile is redelivered on its own. The\nsame `idempotencyKey` asks for the same thing however often it is sent.',
  scope: 'operate',
  cost: { weight: 20 },
  input: z.strictObject({ name: z.string().describe('The name of the destination.'), idempotencyKey }),
  result: { commandId },
  aboutResult: 'The command is on the log; `destinations` shows its effect.',
  failures: ['destination.unknown', 'request.idempotencyMismatch', 'log.unavailable'],
});
export type EnableDestinationInput = InputOf<typeof enableDestination>;
