import { z } from 'zod';

export const noneAuth = z.strictObject({ kind: z.literal('none').describe('Requests carry no credential.') });
