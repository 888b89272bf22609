import { z } from 'zod';
import { json } from '../json.js';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

const aboutEvent = { tenant: name, customer: customerKey, eventId: z.string(), at: z.iso.datetime() };
const aboutRun = { ...aboutEvent, runId: z.string(), flow: name, flowVersion: z.int().positive(), generation: z.int().nonnegative() };

/** The event is stored in Postgres and can be queried. */
export const eventRecordedSchema = z.object({ ...aboutEvent, source: name, type: z.string() });
export type EventRecorded = z.infer<typeof eventRecordedSchema>;
export const EventRecorded = recordType('event.recorded.v1', eventRecordedSchema);

/** A delivery that a `deliver` step asked for. The payload is final; connectors only carry it. */
export const plannedDeliverySchema = z.object({
  /** The path of the step, or of what is delivered without one. */
  step: z.string(),
  destination: name,
  payload: json,
  /** The consent of the flow that it may take effect more than once. Builds until 2026-11-29 did not know it. */
  atLeastOnce: z.boolean().optional(),
});
export type PlannedDelivery = z.infer<typeof plannedDeliverySchema>;

/** A run reached its decision; the decision is stored and never changes within this generation (promise 4). */
export const runCompletedSchema = z.object({
  ...aboutRun,
  /** When the event was accepted; end-to-end latency starts here. */
  eventReceivedAt: z.iso.datetime(),
  decision: json,
  /** Deliveries that are still to be planned: those of a default decision. Others are stored with the decision; builds until 2026-11-29 stored them later. */
  deliveries: z.array(plannedDeliverySchema),
});
export type RunCompleted = z.infer<typeof runCompletedSchema>;
export const RunCompleted = recordType('run.completed.v1', runCompletedSchema);

/** A run was given up; a dead letter says why. */
export const runFailedSchema = z.object({ ...aboutRun, code: z.string(), message: z.string() });
export type RunFailed = z.infer<typeof runFailedSchema>;
export const RunFailed = recordType('run.failed.v1', runFailedSchema);
