import { z } from 'zod';

export const tokenScheme = z
  .strictObject({
    kind: z
      .literal('token')
      .describe(
        'A secret text sent with each request. It does not protect the body: a caller who has seen one request can send any other.',
      ),
    header: z.string().min(1).optional().describe('The header that carries the token.'),
    prefix: z.string().default('').describe('Text before the token in the header, such as `Bearer `.'),
    query: z.string().min(1).optional().describe('The query parameter that carries the token, instead of a header.'),
  })
  .superRefine((scheme, context) => {
    if ((scheme.header === undefined) === (scheme.query === undefined)) {
      context.addIssue({ code: 'custom', path: ['header'], message: 'set header or query, and only one of them' });
    }
  });
