import { z } from 'zod';
import { recordType } from './record.js';

/** Stands for the tenant in the records that are about all tenants. */
export const everyTenant = '*';

/**
 * A part of the configuration copy: what doors need of one tenant, or what tells whether the copy is complete and how old it is. `customer` names the
 * part. It is sealed with the key of secrets, for its tenant and part; libs/configuration-copy seals and opens it.
 */
export const configurationPublishedSchema = z.object({
  tenant: z.string(),
  customer: z.string(),
  sealed: z.string(),
});
export type ConfigurationPublished = z.infer<typeof configurationPublishedSchema>;
export const ConfigurationPublished = recordType('configuration.published.v1', configurationPublishedSchema, { ifUnknown: 'pass' });
