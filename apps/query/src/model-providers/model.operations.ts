import { z } from 'zod';
import { query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, timestamp } from '../operations/shape.js';

const modelState = enumeration(
  'ModelState',
  {
    usable: 'Its provider took the last request, and no process has stopped its calls.',
    outage: 'Its provider could not be reached, or most calls of this tenant failed lately, so that few or none are made.',
    keyRefused: 'Its provider refuses the key. Runs that ask no other model wait.',
    misconfigured: 'There is no model API at the address of its provider. Runs that ask no other model wait.',
    unknown: 'Its provider has not been asked yet.',
  },
  'Whether a model can be asked.',
);

const model = entity(
  'Model',
  {
    provider: z.string().nullable().describe('The ModelProvider document; null: the provider of the installation.'),
    name: z.string().describe('The name of the model at its provider.'),
    routes: z.array(z.string()).describe('The ModelRoute documents that name it, by name.'),
    isListed: z
      .boolean()
      .nullable()
      .describe('True if its provider lists it, false if it lists others only; null if it lists none or has not answered.'),
    isNamed: z.boolean().describe('True if its ModelProvider document names it among its `models`.'),
    address: z.string().nullable().describe('The address of its provider; null if no provider of the installation was asked yet.'),
    inputPrice: z.number().nullable().describe('The price of a million tokens of input; null if none is set.'),
    outputPrice: z.number().nullable().describe('The price of a million tokens of output; null if none is set.'),
    currency: z.string().nullable().describe('The currency of the prices, a code of ISO 4217; null if none are set.'),
    requestsPerMinute: z
      .number()
      .nullable()
      .describe(
        'The most requests in a minute, as the document says; null if it says none. What the provider names in its answers holds beside it.',
      ),
    tokensPerMinute: z.number().nullable().describe('The most tokens in a minute, as the document says; null if it says none.'),
    state: modelState.describe('Whether it can be asked.'),
    reason: z.string().nullable().describe('Why its provider could not be asked last, for a person; null if it could.'),
    checkedAt: timestamp.nullable().describe('When its provider was last asked; null if it never was.'),
  },
  { about: 'A model that `infer` steps of the tenant can ask.' },
);
export type ModelRow = z.infer<typeof model>;

export const listModels = query({
  name: 'models',
  about:
    'The models that flows of the tenant can name, by provider and name: those that a provider lists, and those that a ModelProvider or ModelRoute document names. Of providers of tenants the state is at most ten minutes old, after a failure three; outages are at most a minute old.',
  scope: 'read',
  cost: { weight: 20 },
  input: z.strictObject({
    provider: z.string().min(1).max(200).optional().describe('Only models of this ModelProvider document. Default: all.'),
    route: z.string().min(1).max(200).optional().describe('Only models of this ModelRoute document. Default: all.'),
  }),
  output: z.array(model),
  failures: [],
});
export type ModelsInput = InputOf<typeof listModels>;
