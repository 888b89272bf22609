import { z } from 'zod';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

/** A wait of the run is over, so its work goes on. The record says nothing that is not stored: one that comes twice, or late, is one that finds nothing to do. */
export const continueRunSchema = z.object({
  tenant: name,
  customer: customerKey,
  eventId: z.string(),
  runId: z.string(),
  at: z.iso.datetime(),
});
export type ContinueRun = z.infer<typeof continueRunSchema>;
export const ContinueRun = recordType('continue-run.v1', continueRunSchema);
