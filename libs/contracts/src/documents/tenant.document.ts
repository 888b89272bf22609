import { z } from 'zod';
import { name } from '../names.js';
import { apiVersion } from './document-of.js';

export const tenantSpec = z.strictObject({
  displayName: z.string().min(1).max(120).describe('The name that people use for this tenant.'),
});

/** Belongs to itself, so its metadata names no other tenant. */
export const tenantDocument = z
  .strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal('Tenant'), metadata: z.strictObject({ name }), spec: tenantSpec })
  .describe('A tenant. All other documents belong to one tenant, and nothing crosses from one tenant to another.');
export type TenantDocument = z.infer<typeof tenantDocument>;
