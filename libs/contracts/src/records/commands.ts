import { z } from 'zod';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

const command = { tenant: name, customer: customerKey, commandId: z.string(), actor: z.string(), at: z.iso.datetime() };

/** Run the event's flows again as a new generation; the stored decisions of the earlier ones stay. */
export const replayEventSchema = z.object({ ...command, eventId: z.string(), flow: name.nullable() });
export type ReplayEvent = z.infer<typeof replayEventSchema>;
export const ReplayEvent = recordType('replay-event.v1', replayEventSchema);

/** Try a delivery again at once, with its effect key unchanged and a fresh retry budget. */
export const redeliverSchema = z.object({ ...command, deliveryId: z.string() });
export type Redeliver = z.infer<typeof redeliverSchema>;
export const Redeliver = recordType('redeliver.v1', redeliverSchema);
