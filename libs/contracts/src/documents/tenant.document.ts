import { z } from 'zod';
import { rateLimit } from './rate-limit.js';
import { documentName, documentVersion, kindOf } from './document-of.js';

export const tenantSpec = z.strictObject({
  displayName: z.string().min(1).max(120).describe('The name that people use for this tenant.'),
  rateLimit: rateLimit
    .optional()
    .describe(
      'The rate of requests that all sources of the tenant take together; default: no limit. Beyond it requests get 429 with `Retry-After`.',
    ),
});

/** Belongs to itself, so its metadata names no other tenant. */
export const tenantDocument = z
  .strictObject({
    apiVersion: documentVersion,
    kind: kindOf('Tenant'),
    metadata: z.strictObject({ name: documentName }).describe('The name of the tenant, by which its other documents name it.'),
    spec: tenantSpec.describe('How the tenant is shown.'),
  })
  .describe('A tenant. All other documents belong to one tenant, and nothing crosses from one tenant to another.');
export type TenantDocument = z.infer<typeof tenantDocument>;
