import { z } from 'zod';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

/**
 * `pending` until an attempt settles it; `parked` deliveries wait for an operator, who redelivers them, or gives them up: `skipped`. `superseded`: a newer
 * delivery of the same object took its place.
 */
export const deliveryStates = ['pending', 'delivered', 'parked', 'skipped', 'superseded'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** An attempt of a delivery was made; `state` is the delivery's state after it. */
export const deliveryAttemptedSchema = z.object({
  tenant: name,
  customer: customerKey,
  eventId: z.string(),
  deliveryId: z.string(),
  destination: name,
  attempt: z.int().positive(),
  state: z.enum(deliveryStates).exclude(['skipped']),
  /** The failure's code; null on success. */
  code: z.string().nullable(),
  at: z.iso.datetime(),
});
export type DeliveryAttempted = z.infer<typeof deliveryAttemptedSchema>;
export const DeliveryAttempted = recordType('delivery.attempted.v1', deliveryAttemptedSchema);

/**
 * A delivery has arrived that had failed before. It is on the topic of the dead letters, behind the one that it resolves if there is one, so that
 * their reader is told of what failed and of nothing else.
 */
export const deliveryRecoveredSchema = z.object({ tenant: name, customer: customerKey, deliveryId: z.string(), at: z.iso.datetime() });
export type DeliveryRecovered = z.infer<typeof deliveryRecoveredSchema>;
export const DeliveryRecovered = recordType('delivery.recovered.v1', deliveryRecoveredSchema);
