import { z } from 'zod';

const status = z.strictObject({
  fault: z.literal('status').describe('An error answer.'),
  status: z.int().min(400).max(599),
  retryAfterSeconds: z.int().min(0).max(3_600).optional(),
  code: z.string().max(100).optional().describe('The error body’s `code`, such as `insufficient_quota`.'),
});
const delay = z.strictObject({ fault: z.literal('delay').describe('The answer, later.'), delayMs: z.int().min(1).max(600_000) });
const cutStream = z.strictObject({ fault: z.literal('cutStream').describe('The connection is cut in the middle of the answer.') });
const brokenJson = z.strictObject({ fault: z.literal('brokenJson').describe('The model’s text ends in the middle.') });
const schemaBreaking = z.strictObject({ fault: z.literal('schemaBreaking').describe('The model’s text is JSON that no schema asks for.') });
const says = z.strictObject({
  fault: z.literal('says').describe('The model’s text is this one, as from a model that obeys somebody else.'),
  text: z.string().max(1_000_000),
});
const hang = z.strictObject({ fault: z.literal('hang').describe('No answer, until the caller gives up.') });

/** One scripted failure. */
export const fault = z.discriminatedUnion('fault', [status, delay, cutStream, brokenJson, schemaBreaking, says, hang]);
export type Fault = z.infer<typeof fault>;

const match = z.strictObject({
  model: z.string().min(1).optional(),
  contains: z.string().min(1).optional().describe('Text that the user’s messages contain.'),
});

/** The requests that a fault applies to. */
const aim = {
  match: match.prefault({}),
  times: z.int().min(1).nullable().default(null).describe('Number of requests it applies to; null: all, until it is cleared.'),
};

export const faultRule = z.discriminatedUnion('fault', [
  status.extend(aim),
  delay.extend(aim),
  cutStream.extend(aim),
  brokenJson.extend(aim),
  schemaBreaking.extend(aim),
  says.extend(aim),
  hang.extend(aim),
]);
export type FaultRule = z.infer<typeof faultRule>;
