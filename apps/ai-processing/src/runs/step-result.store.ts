import { Injectable } from '@nestjs/common';
import type { Json } from '#libs/json';
import { Database, statement } from '#libs/persistence';
import type { RunningRun } from './run.store.js';

const ofRun = statement('stepResult.ofRun', `SELECT step, output FROM step_result WHERE tenant_id = $1 AND run_id = $2`);

/** Reads the table `step_result`; it is written with the run's progress. */
@Injectable()
export class StepResultStore {
  constructor(private readonly database: Database) {}

  async ofRun(run: RunningRun): Promise<Map<string, Json>> {
    const rows = await this.database.query<{ step: string; output: Json }>(ofRun, [run.tenant, run.id]);
    return new Map(rows.map(({ step, output }) => [step, output]));
  }
}
