import { z } from 'zod';
import { recordType } from './record.js';

export const deadLetterKinds = ['record', 'run', 'delivery'] as const;
export type DeadLetterKind = (typeof deadLetterKinds)[number];

/**
 * Something was given up and parked with its reason. Tenant and customer are read from the record's key and are not checked against the name
 * rules, because a record that breaks them must still be parkable.
 */
export const deadLetteredSchema = z.object({
  tenant: z.string(),
  customer: z.string(),
  deadLetterId: z.string(),
  /** The kind of thing that was parked: a log record that nobody could process, a run, or a delivery. */
  kind: z.enum(deadLetterKinds),
  code: z.string(),
  message: z.string(),
  eventId: z.string().nullable(),
  runId: z.string().nullable(),
  deliveryId: z.string().nullable(),
  /** The record's position, `topic/partition/offset`; null unless `kind` is `record`. */
  position: z.string().nullable(),
  valueBase64: z.string().nullable(),
  at: z.iso.datetime(),
});
export type DeadLettered = z.infer<typeof deadLetteredSchema>;
export const DeadLettered = recordType('dead-lettered.v1', deadLetteredSchema);
