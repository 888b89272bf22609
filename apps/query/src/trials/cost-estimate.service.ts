import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, eventsFor } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import { eventConditions } from '../events/event.table.js';
import { ArgumentInvalid } from '../operations/input.errors.js';
import type { CostEstimateRow, EstimateCostInput } from './cost-estimate.operations.js';
import { CostEstimateTable } from './cost-estimate.table.js';
import { TrialTable } from './trial.table.js';

/** Estimates what flows cost from what they have cost. */
@Injectable()
export class CostEstimateService {
  constructor(
    private readonly table: CostEstimateTable,
    private readonly trials: TrialTable,
    private readonly configuration: Configuration,
  ) {}

  /** @throws NotFound, ArgumentInvalid */
  async estimate({ tenant }: Principal, input: EstimateCostInput): Promise<CostEstimateRow> {
    if ((input.flow == null) === (input.trial == null)) throw new ArgumentInvalid('flow', 'or trial is to be given, and only one of them');
    if (input.from >= input.before) throw new ArgumentInvalid('before', 'must be after from');
    const basis = input.trial == null ? await this.ofFlow(tenant, input.flow!) : await this.ofTrial(tenant, input.trial);
    const { flow, wanted, events, runs, costs, unpriced } = basis;
    const filter = { ...wanted, ...eventConditions({ receivedFrom: input.from, receivedBefore: input.before }) };
    const windowEvents = await this.table.countEvents(tenant, filter);
    const estimatedRuns = events === 0 ? 0 : Math.round((windowEvents.value * runs) / events);
    const perRun = (nanos: number): number => (runs === 0 ? 0 : Math.round((nanos / runs) * estimatedRuns));
    return {
      flow,
      sampleEvents: events,
      sampleRuns: runs,
      unpricedCalls: unpriced,
      windowEvents,
      estimatedRuns,
      costs: Object.fromEntries(Object.entries(costs).map(([currency, nanos]) => [currency, perRun(nanos)])),
    };
  }

  private async ofFlow(tenant: string, flow: string) {
    const found = await this.configuration.storedFlow(tenant, flow);
    if (found === undefined) throw new NotFound('flow', flow, { field: 'flow' });
    const wanted = eventsFor(found.document);
    return { flow, wanted, ...(await this.table.ofRuns(tenant, wanted, flow)) };
  }

  private async ofTrial(tenant: string, id: string) {
    const [trial] = await this.trials.byIds(tenant, [id]);
    if (!trial) throw new NotFound('trial', id, { field: 'trial' });
    const [summary] = await this.trials.summaries(tenant, [id]);
    const { events, notRun, costs } = summary!;
    const found = await this.configuration.storedFlow(tenant, trial.flow);
    const wanted = found === undefined ? { runnableBy: trial.flow } : eventsFor(found.document);
    return { flow: trial.flow, wanted, events: trial.scanned, runs: events - notRun, costs, unpriced: null };
  }
}
