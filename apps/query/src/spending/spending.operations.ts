import { z } from 'zod';
import { budgetPeriods } from '#libs/contracts';
import { query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { entity, enumeration, timestamp } from '../operations/shape.js';
import { modelCost } from '../runs/run.operations.js';

const budgetState = enumeration(
  'BudgetState',
  {
    open: 'Less than `warnAt` of it is spent.',
    nearlySpent: 'At least `warnAt` of it is spent.',
    spent: 'All of it is spent, and `whenSpent` says what becomes of calls.',
  },
  'How much of a budget is spent.',
);

const budgetPer = enumeration(
  'BudgetPer',
  { day: 'It begins anew with each day, in UTC.', month: 'It begins anew with each month, in UTC.' } satisfies Record<
    (typeof budgetPeriods)[number],
    string
  >,
  'The period of a budget.',
);

const whenSpent = enumeration(
  'WhenSpent',
  {
    warn: 'Calls are made all the same.',
    degrade: 'Only models that the budget does not count are asked; a step without one fails.',
    stop: 'Runs wait.',
  },
  'What becomes of calls when a budget is spent.',
);

export const budget = entity(
  'Budget',
  {
    name: z.string().describe('The name of its document.'),
    flows: z.array(z.string()).nullable().describe('The flows whose calls count; null: all flows of the tenant.'),
    per: budgetPer.describe('When it begins anew.'),
    limit: modelCost.nullable().describe('What calls may cost; null if the budget counts tokens.'),
    spent: modelCost.nullable().describe('What calls have cost since `since`, up to a few seconds ago; null if the budget counts tokens.'),
    tokenLimit: z.number().nullable().describe('The tokens that calls may use; null if the budget counts money.'),
    tokensSpent: z.number().nullable().describe('The tokens that calls have used since `since`; null if the budget counts money.'),
    usedRatio: z.number().describe('The part of it that is spent; 1 is all of it.'),
    state: budgetState.describe('How much of it is spent.'),
    whenSpent: whenSpent.describe('What becomes of calls when it is spent.'),
    since: timestamp.describe('When its day or month began.'),
    until: timestamp.describe('When it begins anew.'),
  },
  { about: 'A limit of what calls of models may cost in a day or a month.' },
);
export type BudgetRow = z.infer<typeof budget>;

export const listBudgets = query({
  name: 'budgets',
  about: 'The budgets of the tenant, by name, with what of them is spent.',
  scope: 'read',
  cost: { weight: 10 },
  input: z.strictObject({}),
  output: z.array(budget),
  failures: [],
});

const dimension = enumeration(
  'SpendDimension',
  {
    day: 'A line for each day.',
    flow: 'A line for each flow.',
    model: 'A line for each model of each provider.',
  },
  'What calls of models are told apart by.',
);

export const modelSpend = entity(
  'ModelSpend',
  {
    day: z.string().nullable().describe('In UTC, such as `2026-01-31`; null unless asked for.'),
    flow: z.string().nullable().describe('The flow; null unless asked for, and for calls that belong to none.'),
    provider: z
      .string()
      .nullable()
      .describe('The ModelProvider document; null unless asked for, and for the provider of the installation.'),
    model: z.string().nullable().describe('The model; null unless asked for.'),
    calls: z.number().describe('Calls, failed ones too.'),
    inputTokens: z.number().describe('Tokens of input, as far as providers tell them.'),
    outputTokens: z.number().describe('Tokens of output, as far as providers tell them.'),
    cost: modelCost.nullable().describe('What they cost; null for calls without a price.'),
  },
  { about: 'What calls of models used and cost.' },
);
export type ModelSpendRow = z.infer<typeof modelSpend>;

/** The longest window of one question. */
export const mostSpendDays = 400;
/** The most lines of one answer. */
export const mostSpendRows = 1_000;

const day = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'must be a day, such as 2026-01-31');

export const listSpend = query({
  name: 'modelSpend',
  about: `What calls of models used and cost, up to a few seconds ago: the dearest first, ${mostSpendRows} lines at most. Calls are counted on the day, in UTC, on which they began.`,
  scope: 'read',
  cost: { weight: 50 },
  input: z.strictObject({
    from: day.nullish().describe('The first day; default: the first of the month.'),
    to: day.nullish().describe(`The last day; default: today. At most ${mostSpendDays} days after \`from\`.`),
    by: z.array(dimension).max(3).nullish().describe('What calls are told apart by, beside the currency; default: by flow.'),
    flow: z.string().nullish().describe('Only calls of this flow.'),
  }),
  output: z.array(modelSpend),
  failures: [],
});
export type SpendInput = InputOf<typeof listSpend>;
