import { Injectable } from '@nestjs/common';
import type { ModelAttempt } from '#libs/models';
import { Database, statement, storableText } from '#libs/persistence';
import type { RunningRun } from './run.table.js';

const insert = statement(
  'modelAttempt.insert',
  `INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, response_model, provider_request_id, outcome,
     error_code, error_message, input_tokens, output_tokens, started_at, finished_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
   ON CONFLICT DO NOTHING`,
);

/** Of the claim before this one only, so that each loss is counted once. */
const lost = statement(
  'modelAttempt.lost',
  `SELECT count(DISTINCT step) AS lost FROM model_attempt
   WHERE tenant_id = $1 AND run_id = $2 AND fence = $3 - 1 AND outcome = 'succeeded'
     AND NOT EXISTS (SELECT FROM step_result AS kept
       WHERE kept.tenant_id = model_attempt.tenant_id AND kept.run_id = model_attempt.run_id AND kept.step = model_attempt.step)`,
);

/** The table `model_attempt`: every call of a model, paid for whether or not anything came of it. */
@Injectable()
export class ModelAttemptTable {
  constructor(private readonly database: Database) {}

  async add(run: RunningRun, step: string, attempt: ModelAttempt): Promise<void> {
    await this.database.query(insert, [
      run.tenant,
      run.id,
      step,
      attempt.number,
      run.fence,
      run.eventId,
      attempt.model,
      attempt.responseModel,
      attempt.providerRequestId,
      attempt.outcome,
      attempt.errorCode,
      storableText(attempt.errorMessage),
      attempt.inputTokens,
      attempt.outputTokens,
      attempt.startedAt,
      attempt.finishedAt,
    ]);
  }

  /** How many answers of models the claim before this one got and did not live to store: their calls will be repeated. */
  async lostAnswers(run: RunningRun): Promise<number> {
    const [row] = await this.database.query<{ lost: number }>(lost, [run.tenant, run.id, run.fence]);
    return row!.lost;
  }
}
