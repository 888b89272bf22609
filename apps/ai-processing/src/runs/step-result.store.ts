import { Injectable } from '@nestjs/common';
import type { StoredStep } from '#libs/flows';
import { Database, statement } from '#libs/persistence';
import type { RunningRun } from './run.store.js';

const ofRun = statement(
  'stepResult.ofRun',
  `SELECT step, state, output, length(output::text) AS characters, CASE WHEN error_code IS NOT NULL THEN json_build_object('code', error_code, 'message', error_message) END AS failure
   FROM step_result WHERE tenant_id = $1 AND run_id = $2`,
);
const reached = statement(
  'stepResult.reached',
  `SELECT step, min(started_at) AS "at" FROM operation_attempt WHERE tenant_id = $1 AND run_id = $2 AND outcome IS DISTINCT FROM 'failed' GROUP BY step`,
);

/** A stored step with the length of its output as JSON. */
export type ResumedStep = StoredStep & { readonly characters: number };

/** The stored part of a run, from its earlier tries. */
export interface StoredSteps {
  /** By their paths. */
  readonly steps: ReadonlyMap<string, ResumedStep>;
  /** By the paths of steps: when the first operation began that took effect, or may have. */
  readonly reachedAt: ReadonlyMap<string, Date>;
}

export const noSteps: StoredSteps = { steps: new Map(), reachedAt: new Map() };

/** Reads the tables `step_result` and `operation_attempt`; they are written with the run's progress. */
@Injectable()
export class StepResultStore {
  constructor(private readonly database: Database) {}

  async ofRun({ tenant, id }: RunningRun): Promise<StoredSteps> {
    const [steps, reachedAt] = await Promise.all([
      this.database.query<ResumedStep & { step: string }>(ofRun, [tenant, id]),
      this.database.query<{ step: string; at: Date }>(reached, [tenant, id]),
    ]);
    return {
      steps: new Map(steps.map(({ step, ...stored }) => [step, stored])),
      reachedAt: new Map(reachedAt.map(({ step, at }) => [step, at])),
    };
  }
}
