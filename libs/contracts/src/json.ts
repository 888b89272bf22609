import { z } from 'zod';
import type { Json } from '#libs/json';

/**
 * Any JSON value, in a record. Not looked into, because it comes from `parseJson` or from our own code, and a check would copy it and call itself for
 * each level.
 */
export const json = z.unknown().refine((value) => value !== undefined, 'must be given') as z.ZodType as z.ZodType<Json>;
