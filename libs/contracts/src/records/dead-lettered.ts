import { z } from 'zod';
import { recordType } from './record.js';

export const deadLetterKinds = ['record', 'run', 'delivery'] as const;
export type DeadLetterKind = (typeof deadLetterKinds)[number];

/**
 * Something was given up and parked with its reason. Tenant and customer are what could be read of the record's key, so they are not held to
 * the name rules: a record that breaks them must still be parkable.
 */
export const deadLetteredSchema = z.object({
  tenant: z.string(),
  customer: z.string(),
  deadLetterId: z.string(),
  /** What was parked: a log record nobody could process, a run, or a delivery. */
  kind: z.enum(deadLetterKinds),
  code: z.string(),
  message: z.string(),
  eventId: z.string().nullable(),
  runId: z.string().nullable(),
  deliveryId: z.string().nullable(),
  /** Where the record stands, for `kind: record`: `topic/partition/offset`, and its value in base64. */
  position: z.string().nullable(),
  valueBase64: z.string().nullable(),
  at: z.iso.datetime(),
});
export type DeadLettered = z.infer<typeof deadLetteredSchema>;
export const DeadLettered = recordType('dead-lettered.v1', deadLetteredSchema);
