import { z } from 'zod';
import { query } from '../operations/operation.js';
import { entity, timestamp } from '../operations/shape.js';

export const modelProvider = entity(
  'ModelProvider',
  {
    address: z.string().describe('Where requests are sent to.'),
    models: z
      .array(z.string())
      .nullable()
      .describe('The names of the models that it listed last. Empty if it lists none; null if it was never asked with success.'),
    listedAt: timestamp.nullable().describe('When it gave `models`; null if it never did.'),
    askedAt: timestamp.describe('When it was last asked. It is asked every ten minutes, and every minute after a failure.'),
    errorCode: z.string().nullable().describe('Why the last question failed, as a code; null if it was answered.'),
    errorMessage: z.string().nullable().describe('Why the last question failed, for a person; null if it was answered.'),
  },
  { about: 'A service that runs the models of `infer` steps. The installation names it, for all tenants.' },
);
export type ModelProviderRow = z.infer<typeof modelProvider>;

export const listModelProviders = query({
  name: 'modelProviders',
  about:
    'The model providers of the installation, by address, with the models that each lists. Those of the tenant are its ModelProvider documents.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(modelProvider),
  failures: [],
});
