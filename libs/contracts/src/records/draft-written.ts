import { z } from 'zod';
import { customerKey, name } from '../names.js';
import { recordType } from './record.js';

/**
 * A part of the draft that a caller follows. Nobody needs it: what is lost is missing from the draft, and the decision comes all the same. Each process
 * reads the parts of all callers, so a caller who comes again may reach any.
 */
export const draftWrittenSchema = z.object({
  tenant: name,
  customer: customerKey,
  eventId: z.string(),
  /** The fence of the claim under which the model was asked. */
  fence: z.int().positive(),
  /** The number of the draft under this fence, from 1. A part with a greater fence or number makes all earlier drafts void, also if it has no text. */
  number: z.int().positive(),
  /** The place of the text in its draft, in UTF-16 code units. */
  at: z.int().nonnegative(),
  text: z.string(),
});
export type DraftWritten = z.infer<typeof draftWrittenSchema>;
export const DraftWritten = recordType('draft.written.v1', draftWrittenSchema, { ifUnknown: 'pass' });
