import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';

/** The events and runs that an estimate is made from. */
export interface CostBasis {
  readonly events: number;
  /** The events that the flow ran on. */
  readonly runs: number;
  /** The costs of all runs, in billionths by currency. */
  readonly costs: Readonly<Record<string, number>>;
  /** Calls without a price. */
  readonly unpriced: number;
}

const ofRuns = statement('query.costEstimate.ofRuns', `SELECT events, runs, costs, unpriced FROM cost_basis_of_runs($1, $2, $3)`);
const countEvents = statement('query.costEstimate.countEvents', `SELECT event_count($1, $2, $3) AS found`);

/** Counting stops at this number. */
const countLimit = 100_000;

@Injectable()
export class CostEstimateTable {
  constructor(private readonly database: TenantDatabase) {}

  async ofRuns(tenant: string, filter: Record<string, unknown>, flow: string): Promise<CostBasis> {
    const [basis] = await this.database.query<CostBasis>(ofRuns, [tenant, filter, flow]);
    return basis!;
  }

  async countEvents(tenant: string, filter: Record<string, unknown>): Promise<{ value: number; exact: boolean }> {
    const [row] = await this.database.query<{ found: number }>(countEvents, [tenant, filter, countLimit + 1]);
    const found = row?.found ?? 0;
    return { value: Math.min(found, countLimit), exact: found <= countLimit };
  }
}
