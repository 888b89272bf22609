import { z } from 'zod';
import { documentOf } from './document-of.js';
import { refTo } from './references.js';

export const budgetPeriods = ['day', 'month'] as const;
export type BudgetPeriod = (typeof budgetPeriods)[number];

export const budgetSpec = z
  .strictObject({
    flows: z
      .array(refTo('Flow'))
      .min(1)
      .max(50)
      .optional()
      .describe('The flows whose calls of models count: 1 to 50, documents of the same tenant. Default: all flows of the tenant.'),
    per: z.enum(budgetPeriods).describe('When it begins anew: with each day or each month, in UTC.'),
    amount: z
      .number()
      .positive()
      .max(1_000_000_000)
      .optional()
      .describe('The money that calls may cost, by the prices in the documents of their providers. Either this or `tokens`.'),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'must be a code of ISO 4217, such as USD')
      .optional()
      .describe('The currency of `amount`: a code of ISO 4217. Only calls that cost in it count.'),
    tokens: z
      .int()
      .min(1)
      .max(1_000_000_000_000)
      .optional()
      .describe('The tokens that calls may use, input and output together. Either this or `amount`.'),
    warnAt: z
      .number()
      .gt(0, 'must be greater than 0')
      .max(1)
      .default(0.8)
      .describe('The part of the budget, from 0 to 1, from which on it counts as nearly spent.'),
    whenSpent: z
      .enum(['warn', 'degrade', 'stop'])
      .default('warn')
      .describe(
        'What becomes of calls when the budget is spent. `warn`: they are made. `degrade`: only models that it does not count are asked, such as the next one of a route without a price; if there is none, the step fails, and falls back to what its `onError` says. `stop`: runs wait until the budget begins anew or is raised.',
      ),
  })
  .superRefine(({ amount, currency, tokens }, context) => {
    const given = (['amount', 'tokens'] as const).filter((word) => ({ amount, tokens })[word] !== undefined);
    if (given.length !== 1)
      context.addIssue({ code: 'custom', message: `must have either amount or tokens; it has ${given.join(' and ') || 'neither'}` });
    if (amount !== undefined && currency === undefined)
      context.addIssue({ code: 'custom', path: ['currency'], message: 'is missing: an amount is in a currency, such as USD' });
    if (amount === undefined && currency !== undefined)
      context.addIssue({ code: 'custom', path: ['currency'], message: 'belongs to amount, which is missing' });
  });
export type BudgetSpec = z.infer<typeof budgetSpec>;

export const budgetDocument = documentOf(
  'Budget',
  budgetSpec.describe('What counts, how much of it there is, and what happens when it is spent.'),
  'Limits what calls of models cost in a day or a month, for some flows or for all of the tenant.',
);
export type BudgetDocument = z.infer<typeof budgetDocument>;
