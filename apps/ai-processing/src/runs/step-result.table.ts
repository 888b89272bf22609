import { Injectable } from '@nestjs/common';
import type { Json } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';
import type { FinishedStep } from '../flows/flow.runner.js';
import type { RunningRun } from './run.table.js';

const insert = statement(
  'stepResult.insert',
  `INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, response_model, input_tokens, output_tokens,
     started_at, finished_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
   ON CONFLICT DO NOTHING RETURNING output`,
);
const find = statement('stepResult.find', `SELECT output FROM step_result WHERE tenant_id = $1 AND run_id = $2 AND step = $3`);
const ofRun = statement('stepResult.ofRun', `SELECT step, output FROM step_result WHERE tenant_id = $1 AND run_id = $2`);

/** The table `step_result`: the first output of a step wins for ever. */
@Injectable()
export class StepResultTable {
  constructor(private readonly database: Database) {}

  async ofRun(run: RunningRun): Promise<Map<string, Json>> {
    const rows = await this.database.query<{ step: string; output: Json }>(ofRun, [run.tenant, run.id]);
    return new Map(rows.map(({ step, output }) => [step, output]));
  }

  /** Returns the output that stands: this one, or the one that was there before. */
  async keep(run: RunningRun, { step, kind, state, output, inference, startedAt, finishedAt }: FinishedStep): Promise<Json> {
    const [inserted] = await this.database.query<{ output: Json }>(insert, [
      run.tenant,
      run.id,
      step,
      run.eventId,
      kind,
      state,
      JSON.stringify(output),
      inference?.model ?? null,
      inference?.responseModel ?? null,
      inference?.inputTokens ?? null,
      inference?.outputTokens ?? null,
      startedAt,
      finishedAt,
    ]);
    if (inserted !== undefined) return inserted.output;
    const [standing] = await this.database.query<{ output: Json }>(find, [run.tenant, run.id, step]);
    return standing!.output;
  }
}
