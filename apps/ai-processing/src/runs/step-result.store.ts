import { Injectable } from '@nestjs/common';
import type { StoredStep } from '#libs/flows';
import { Database, statement } from '#libs/persistence';
import type { RunningRun } from './run.store.js';

const ofRun = statement('stepResult.ofRun', `SELECT step, state, output FROM step_result WHERE tenant_id = $1 AND run_id = $2`);

/** Reads the table `step_result`; it is written with the run's progress. */
@Injectable()
export class StepResultStore {
  constructor(private readonly database: Database) {}

  /** The stored steps of a run, by their paths. */
  async ofRun(run: RunningRun): Promise<Map<string, StoredStep>> {
    const rows = await this.database.query<StoredStep & { step: string }>(ofRun, [run.tenant, run.id]);
    return new Map(rows.map(({ step, ...stored }) => [step, stored]));
  }
}
