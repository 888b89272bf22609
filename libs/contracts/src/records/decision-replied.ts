import { z } from 'zod';
import { json } from '../json.js';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

/**
 * The decision that a caller waits for. It says what is stored: whoever misses it asks Postgres. A process reads the replies of all, and takes those that
 * name it.
 */
export const decisionRepliedSchema = z.object({
  tenant: name,
  customer: customerKey,
  eventId: z.string(),
  /** The process that waits. */
  to: z.string(),
  decision: json,
  /** The code of the reason for the default decision; null: the flow decided. */
  defaultReason: z.string().nullable(),
  at: z.iso.datetime(),
});
export type DecisionReplied = z.infer<typeof decisionRepliedSchema>;
export const DecisionReplied = recordType('decision.replied.v1', decisionRepliedSchema, { ifUnknown: 'pass' });
