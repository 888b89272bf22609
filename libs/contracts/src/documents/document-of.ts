import { z } from 'zod';
import { name } from '../names.js';

export const apiVersion = 'millrace/v1';

/** The schema of a document of this kind that belongs to a tenant. */
export function documentOf<Kind extends string, Spec extends z.ZodType>(kind: Kind, spec: Spec, about: string) {
  return z
    .strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata: z.strictObject({ tenant: name, name }), spec })
    .describe(about);
}
