import { z } from 'zod';
import { expression } from '../references.js';

/** The meanings of a response whose status says something else. */
export const responseMeanings = {
  success: 'it is done, though the status says otherwise: it was done before',
  permanent: 'the system refused the request, and would again',
  limited: 'the system asks for fewer requests; it did nothing',
  transient: 'it failed, and may work soon',
  credential: 'the credential is refused',
  conflict: 'something else changed the object at that moment; a repeat may work',
  gone: 'the account or address is gone for good',
} as const;
export type ResponseMeaning = keyof typeof responseMeanings;

/** A response that means something else than its status says. */
export const errorRule = z
  .strictObject({
    when: expression.describe(
      'Over `response` (`status`, `headers`, `body`: JSON, or XML as JSON, `text`), `input` and `settings`. The rule applies if it is true.',
    ),
    is: z.enum(Object.keys(responseMeanings) as [ResponseMeaning]).describe(
      Object.entries(responseMeanings)
        .map(([word, meaning]) => `\`${word}\`: ${meaning}`)
        .join('; ')
        .concat('.'),
    ),
    certain: z
      .boolean()
      .optional()
      .describe('Of a transient failure. True: the system certainly did nothing. False: it may have acted. Default: false for 5xx.'),
    waitMs: z.int().min(0).max(86_400_000).optional().describe('The wait before the next request, in ms.'),
    waitFrom: z
      .string()
      .regex(/^[a-z0-9-]+$/, 'must be the name of a header in lower case')
      .optional()
      .describe('The header that says how long to wait: seconds, or a date, as `retry-after` does.'),
    wait: expression.optional().describe('The wait before the next request in ms, as an expression over `response`.'),
  })
  .refine(({ certain, is }) => certain === undefined || is === 'transient', {
    path: ['certain'],
    error: 'belongs to a transient failure only',
  });
export type ErrorRule = z.infer<typeof errorRule>;
