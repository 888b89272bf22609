import { z } from 'zod';
import { query } from '../operations/operation.js';
import type { InputOf } from '../operations/operation.js';
import { count, entity, id, timestamp } from '../operations/shape.js';

export const costEstimate = entity(
  'CostEstimate',
  {
    flow: z.string().describe('The name of the flow.'),
    sampleEvents: z
      .int()
      .describe('Events that the estimate is made from: the latest 1 000 of the sources of the flow, or those that the trial looked at.'),
    sampleRuns: z.int().describe('Of these, those that the flow ran on.'),
    unpricedCalls: z
      .int()
      .nullable()
      .describe('Calls of these runs whose model has no price, which are not in the estimate; null if a trial does not tell.'),
    windowEvents: count.describe('Events of the sources of the flow in the window, counted exactly up to 100 000.'),
    estimatedRuns: z.int().describe('Of these, those that the flow is expected to run on.'),
  },
  { about: 'What the models of a flow are expected to cost for the events of a window.' },
);
export type CostEstimateRow = z.infer<typeof costEstimate> & { readonly costs: Readonly<Record<string, number>> };

export const estimateCost = query({
  name: 'estimateCost',
  about:
    'What the models of a flow would cost for the events of a window: the average cost of its runs, by the prices of their time, times the events. For a flow that is not applied, and for another\nversion, name a trial of it.',
  scope: 'read',
  cost: { weight: 100 },
  input: z.strictObject({
    flow: z.string().nullish().describe('A flow that has run. Either this or `trial` is given.'),
    trial: id.nullish().describe('A backtest, `trl_…`, whose results the estimate is made from.'),
    from: timestamp.describe('The begin of the window: events received at this time or later.'),
    before: timestamp.describe('Its end: events received before this time.'),
  }),
  output: costEstimate,
  failures: ['flow.unknown', 'trial.unknown'],
});
export type EstimateCostInput = InputOf<typeof estimateCost>;
