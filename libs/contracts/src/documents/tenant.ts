import { z } from 'zod';

export const tenantSpec = z.strictObject({
  displayName: z.string().min(1).max(120).describe('How people call this tenant.'),
});
export type TenantSpec = z.infer<typeof tenantSpec>;
