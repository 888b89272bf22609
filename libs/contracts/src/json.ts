import { z } from 'zod';
import type { Json } from '#libs/json';

/**
 * Any JSON value, in a record. Not looked into, because it comes from `parseJson` or from our own code, and a check would copy it and call itself for
 * each level. Without a value it fits no option of a union, so that another option can be the one that is meant.
 */
export const json = z
  .unknown()
  .refine((value) => value !== undefined, { error: 'must be given', abort: true }) as z.ZodType as z.ZodType<Json>;
