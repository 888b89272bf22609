import { z } from 'zod';
import { delivery } from '../deliveries/delivery.operations.js';
import { deliveriesOfRun } from '../deliveries/delivery.table.js';
import { event } from '../events/event.operations.js';
import { eventById } from '../events/event.table.js';
import { fieldsOf, handle, part } from '../operations/part.js';
import { json, priced, timestamp } from '../operations/shape.js';
import { CancellationService } from './cancellation.service.js';
import {
  cancelRun,
  decision,
  getRun,
  listRuns,
  modelAttempt,
  modelCost,
  operationAttempt,
  run,
  runDelay,
  runWait,
  step,
  tokenUsage,
} from './run.operations.js';
import type { RunRow } from './run.operations.js';
import {
  RunTable,
  costsOf,
  delayOfRun,
  modelAttemptsOfRun,
  operationAttemptsOfRun,
  runById,
  stepsOfRun,
  usageOf,
  waitsOfRun,
} from './run.table.js';
import type { ModelAttemptRow, StepRow } from './run.table.js';

const usage = tokenUsage.nullable().describe('The tokens that the model counted; null if no model was asked, or it did not say.');

export const runPart = part({
  providers: [RunTable, CancellationService],
  node: { entity: run, find: ({ load }, id) => load(runById, id) },
  fields: [
    fieldsOf<RunRow>(run, (field) => ({
      // A run always has its event: the event is recorded before any flow takes it up.
      event: field(event.describe('The event that it works on.'), async ({ eventId }, { load }) => (await load(eventById, eventId))!),
      steps: field(
        priced({ weight: 2, rows: 5 }, z.array(step)).describe(
          'Its steps, in the order in which they ended, those within others included; the first 1 000 of them.',
        ),
        ({ id }, { load }) => load(stepsOfRun, id),
      ),
      waits: field(priced({ weight: 2, rows: 2 }, z.array(runWait)).describe('Its waits, the first first.'), ({ id }, { load }) =>
        load(waitsOfRun, id),
      ),
      waitingFor: field(
        priced({ weight: 2, rows: 1 }, runDelay.nullable()).describe(
          'Why it cannot go on at present, such as a budget that is spent; null if it is at work, waits by a step, or has ended.',
        ),
        ({ id }, { load }) => load(delayOfRun, id),
      ),
      modelAttempts: field(
        priced({ weight: 2, rows: 3 }, z.array(modelAttempt)).describe(
          'Every call of a model, failed ones too, and the models that routes passed over.',
        ),
        ({ id }, { load }) => load(modelAttemptsOfRun, id),
      ),
      costs: field(
        priced({ weight: 2, rows: 1 }, z.array(modelCost)).describe(
          'What all its calls of models cost, by currency; those without a price are left out.',
        ),
        async ({ id }, { load }) => costsOf(await load(modelAttemptsOfRun, id)),
      ),
      operationAttempts: field(
        priced({ weight: 2, rows: 3 }, z.array(operationAttempt)).describe('Every operation that its steps sent, failed ones too.'),
        ({ id }, { load }) => load(operationAttemptsOfRun, id),
      ),
      deliveries: field(priced({ weight: 2, rows: 2 }, z.array(delivery)).describe('The deliveries that it planned.'), ({ id }, { load }) =>
        load(deliveriesOfRun, id),
      ),
    })),
    fieldsOf<RunRow>(decision, (field) => ({
      value: field(json.describe('The decision itself.'), (row) => row.decision),
      default: field(
        z.boolean().describe('True if it is the default decision of the flow, because the flow had not decided by the deadline.'),
        (row) => row.defaultReason !== null,
      ),
      reason: field(
        z.string().nullable().describe('Why it is the default decision, as a code; null if the flow decided.'),
        (row) => row.defaultReason,
      ),
      decidedAt: field(timestamp.describe('When the run completed.'), (row) => row.finishedAt ?? row.startedAt),
      run: field(run.describe('The run that reached it.'), (row) => row),
    })),
    fieldsOf<StepRow>(step, (field) => ({ usage: field(usage, usageOf) })),
    fieldsOf<ModelAttemptRow>(modelAttempt, (field) => ({
      usage: field(usage, usageOf),
      cost: field(
        modelCost.nullable().describe('What it cost; null if the model has no price.'),
        (attempt) => costsOf([attempt])[0] ?? null,
      ),
    })),
  ],
  operations: [
    handle(getRun, ({ load }, { id }) => load(runById, id)),
    handle(listRuns, ({ principal, get }, { filter, ...page }) => get(RunTable).page(principal.tenant, filter ?? {}, page)),
    handle(cancelRun, ({ principal, get }, input) => get(CancellationService).cancel(principal, input)),
  ],
});
