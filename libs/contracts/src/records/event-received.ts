import { z } from 'zod';
import { json } from '../json.js';
import { customerKey, lanes, name } from '../names.js';
import { recordType } from './record.js';

/** The request of a caller for a decision (docs/decision-requests.md). Only the flow that it names runs on its event. */
export const decisionRequestSchema = z.object({
  flow: name,
  /** The version that the door knew. The run of generation 0 has it. */
  flowVersion: z.int().positive(),
  /** Absent: the caller does not wait, so the run takes the time it takes. */
  deadline: z
    .object({
      /** The decision that counts is stored until then, or it is the default. */
      decideBy: z.iso.datetime(),
      /** The default decision, as the door computed it from the event. */
      default: json,
      /** Destinations of the default decision. */
      deliverTo: z.array(name),
    })
    .optional(),
  /** Absent: nobody waits for a reply. */
  reply: z
    .object({
      /** The process that waits for it. */
      to: z.string(),
      /** Until when it waits. */
      until: z.iso.datetime(),
      /** True: it wants the draft, too. Builds until 2026-11-30 did not know it. */
      draft: z.boolean().optional(),
    })
    .optional(),
  /** The destination that is told about the end of the run. */
  notify: name.optional(),
});
export type DecisionRequest = z.infer<typeof decisionRequestSchema>;

/**
 * A verified event, as it was received. Exactly one of `body` and `bodyBase64` is set: text where the bytes are UTF-8 without control
 * characters, so that the log can be read by eye.
 */
export const eventReceivedSchema = z.object({
  eventId: z.string().startsWith('evt_'),
  tenant: name,
  source: name,
  customer: customerKey,
  lane: z.enum(lanes),
  /** The event's type, such as `invoice.paid`; flows match on it. */
  type: z.string().min(1).max(256),
  /** The provider's own id; null if it sends none, and the event's id is a hash of the body. */
  providerEventId: z.string().nullable(),
  /** When it happened according to the provider, else when it was received; RFC 3339. */
  occurredAt: z.iso.datetime({ offset: true }),
  receivedAt: z.iso.datetime(),
  contentType: z.string(),
  /** True: a person sent a kept request again to see what follows. Builds until 2026-11-29 did not know it. */
  isTest: z.boolean().optional(),
  /** The place and the reason where the data does not fit the schema of its source, which takes it all the same. Builds until 2026-11-29 did not know it. */
  schemaProblem: z.string().optional(),
  body: z.string().optional(),
  bodyBase64: z.string().optional(),
  /** Builds until 2026-11-30 did not know it. */
  request: decisionRequestSchema.optional(),
});
export type EventReceived = z.infer<typeof eventReceivedSchema>;
export const EventReceived = recordType('event.received.v1', eventReceivedSchema);

/** The bytes that the partner sent. */
export function eventBody(event: Pick<EventReceived, 'body' | 'bodyBase64'>): Buffer {
  return event.body === undefined ? Buffer.from(event.bodyBase64 ?? '', 'base64') : Buffer.from(event.body, 'utf8');
}
