import { Injectable } from '@nestjs/common';
import type { StoredStep } from '#libs/flows';
import { Database, statement } from '#libs/persistence';
import type { RunningRun } from './run.store.js';

const ofRun = statement(
  'stepResult.ofRun',
  `SELECT step, state, output, length(output::text) AS characters, CASE WHEN error_code IS NOT NULL THEN json_build_object('code', error_code, 'message', error_message) END AS failure
   FROM step_result WHERE tenant_id = $1 AND run_id = $2`,
);

/** A stored step with the length of its output as JSON. */
export type ResumedStep = StoredStep & { readonly characters: number };

/** Reads the table `step_result`; it is written with the run's progress. */
@Injectable()
export class StepResultStore {
  constructor(private readonly database: Database) {}

  /** The stored steps of a run, by their paths. */
  async ofRun(run: RunningRun): Promise<Map<string, ResumedStep>> {
    const rows = await this.database.query<ResumedStep & { step: string }>(ofRun, [run.tenant, run.id]);
    return new Map(rows.map(({ step, ...stored }) => [step, stored]));
  }
}
