import { z } from 'zod';
import { event } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { priced } from '../operations/shape.js';
import { modelCost, run } from '../runs/run.operations.js';
import { runById } from '../runs/run.table.js';
import { costEstimate, estimateCost } from './cost-estimate.operations.js';
import type { CostEstimateRow } from './cost-estimate.operations.js';
import { CostEstimateService } from './cost-estimate.service.js';
import { CostEstimateTable } from './cost-estimate.table.js';
import {
  cancelTrial,
  getTrial,
  listTrialOutcomes,
  listTrials,
  promoteTrial,
  startBacktest,
  trial,
  trialOutcome,
  trialSummary,
  triedStep,
  tryFlow,
} from './trial.operations.js';
import type { TrialOutcomeRow, TrialRow, TrialSummaryRow, TriedStepRow } from './trial.operations.js';
import { obstacleMessage } from './trial.obstacles.js';
import { TrialService } from './trial.service.js';
import { TrialTable, modelCostsOf, stepsOfTrialOutcome, summaryOfTrial, trialById } from './trial.table.js';

const costs = priced({ weight: 1, rows: 1 }, z.array(modelCost));

export const trialPart = part({
  providers: [TrialTable, TrialService, CostEstimateTable, CostEstimateService],
  node: { entity: trial, find: ({ load }, id) => load(trialById, id) },
  fields: [
    fieldsOf<TrialRow>(trial, (field) => ({
      summary: field(priced({ weight: 10 }, trialSummary).describe('Its results so far.'), ({ id }, { load }) => load(summaryOfTrial, id)),
    })),
    fieldsOf<TrialSummaryRow>(trialSummary, (field) => ({
      costs: field(costs.describe('What its calls of models cost, by currency; those without a price are left out.'), (row) =>
        modelCostsOf(row.costs),
      ),
      baseCosts: field(costs.describe('The same of the stored runs that it is compared with.'), (row) => modelCostsOf(row.baseCosts)),
    })),
    fieldsOf<TrialOutcomeRow>(trialOutcome, (field) => ({
      event: field(event.nullable().describe('The event; null if it never came, or was deleted.'), ({ eventId }, { load }) =>
        load(eventById, eventId),
      ),
      baseRun: field(
        run
          .nullable()
          .describe('The stored run that it is compared with: the latest one of the flow that has ended. Null if there is none.'),
        async ({ baseRunId }, { load }) => (baseRunId === null ? null : load(runById, baseRunId)),
      ),
      promotedRun: field(
        run.nullable().describe('The run that was made of it; null if it was not promoted.'),
        async ({ promotedRunId }, { load }) => (promotedRunId === null ? null : load(runById, promotedRunId)),
      ),
      steps: field(
        priced({ weight: 5, rows: 5 }, z.array(triedStep))
          .nullable()
          .describe('The steps that it did, in the order in which they ended; null if they are too large to be kept.'),
        ({ trialId, eventId }, { load }) => load(stepsOfTrialOutcome, `${trialId} ${eventId}`),
      ),
      obstacleMessage: field(
        priced({ weight: 5, rows: 1 }, z.string())
          .nullable()
          .describe('The obstacle with the step that it lies at, and what to do instead, for a person; null if there is none.'),
        async (row, { load }) => {
          if (row.obstacle === null) return null;
          const steps = row.obstacle === 'acts' ? await load(stepsOfTrialOutcome, `${row.trialId} ${row.eventId}`) : null;
          return obstacleMessage(row, steps?.find(({ acts }) => acts)?.id);
        },
      ),
      costs: field(costs.describe('What its calls of models cost.'), (row) => modelCostsOf(row.costs)),
      baseCosts: field(costs.describe('What those of the stored run cost.'), (row) => modelCostsOf(row.baseCosts)),
    })),
    fieldsOf<CostEstimateRow>(costEstimate, (field) => ({
      costs: field(costs.describe('What these runs are expected to cost, by currency.'), (row) => modelCostsOf(row.costs)),
    })),
    fieldsOf<TriedStepRow>(triedStep, (field) => ({
      costs: field(costs.describe('What its calls of models cost.'), (row) => modelCostsOf(row.costs)),
    })),
  ],
  operations: [
    handle(getTrial, ({ load }, { id }) => load(trialById, id)),
    handle(estimateCost, ({ principal, get }, input) => get(CostEstimateService).estimate(principal, input)),
    handle(listTrials, ({ principal, get }, { filter, ...page }) => get(TrialTable).page(principal.tenant, filter ?? {}, page)),
    handle(listTrialOutcomes, ({ principal, get }, { filter, trial: id, ...page }) =>
      get(TrialTable).outcomes(principal.tenant, id, filter ?? {}, page),
    ),
    handle(tryFlow, ({ principal, get, isAbandoned }, input) => get(TrialService).try(principal, input, isAbandoned)),
    handle(startBacktest, ({ principal, get, isAbandoned }, input) => get(TrialService).backtest(principal, input, isAbandoned)),
    handle(promoteTrial, ({ principal, get }, input) => get(TrialService).promote(principal, input)),
    handle(cancelTrial, ({ principal, get }, input) => get(TrialService).cancel(principal, input)),
  ],
});
