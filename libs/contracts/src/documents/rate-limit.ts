import { z } from 'zod';

/** A rate of requests. */
export const rateLimit = z
  .strictObject({
    perMinute: z.int().min(1).max(10_000_000).describe('The most requests that are taken in any minute.'),
    burst: z.int().min(1).optional().describe('How many of them may come at once; default: half. The others come evenly.'),
  })
  .refine(({ perMinute, burst }) => burst === undefined || burst <= Math.max(1, Math.floor(perMinute / 2)), {
    path: ['burst'],
    error: 'must be at most half of perMinute',
  });
export type RequestRate = z.infer<typeof rateLimit>;
