import { Injectable } from '@nestjs/common';
import type { FailureCode } from '#libs/contracts';
import { Database, statement, storableText } from '#libs/persistence';

/** The answer of a provider that was asked for its models: their names, or the failure. */
export type ModelAnswer =
  | { readonly models: readonly string[] }
  | { readonly failure: { readonly code: FailureCode; readonly message: string } };

/** True for the first process that asks after `due_at`, and while no answer is stored. Each call says that the provider is in use. */
const takeTurn = statement(
  'modelProvider.takeTurn',
  `WITH turn AS (
     UPDATE model_provider SET due_at = statement_timestamp() + $2 * interval '1 ms', used_at = statement_timestamp()
     WHERE address = $1 AND due_at <= statement_timestamp() RETURNING address),
   use AS (
     UPDATE model_provider SET used_at = statement_timestamp() WHERE address = $1 AND due_at > statement_timestamp())
   SELECT EXISTS (SELECT FROM turn) OR NOT EXISTS (SELECT FROM model_provider WHERE address = $1) AS "isMine"`,
);

const saveModels = statement(
  'modelProvider.saveModels',
  `INSERT INTO model_provider (address, models, listed_at, asked_at, due_at, used_at)
   VALUES ($1, $2, statement_timestamp(), statement_timestamp(), statement_timestamp() + $3 * interval '1 ms', statement_timestamp())
   ON CONFLICT (address) DO UPDATE SET models = EXCLUDED.models, listed_at = EXCLUDED.listed_at, asked_at = EXCLUDED.asked_at,
     due_at = EXCLUDED.due_at, used_at = EXCLUDED.used_at, error_code = NULL, error_message = NULL`,
);

const saveFailure = statement(
  'modelProvider.saveFailure',
  `INSERT INTO model_provider (address, error_code, error_message, asked_at, due_at, used_at)
   VALUES ($1, $2, $3, statement_timestamp(), statement_timestamp() + $4 * interval '1 ms', statement_timestamp())
   ON CONFLICT (address) DO UPDATE SET error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message, asked_at = EXCLUDED.asked_at,
     due_at = EXCLUDED.due_at, used_at = EXCLUDED.used_at`,
);

/** Sets `used_at` back, so that a provider of another process makes this one count as out of use. */
const leave = statement('modelProvider.leave', `UPDATE model_provider SET used_at = used_at - interval '1 hour' WHERE address = $1`);

const deleteUnused = statement(
  'modelProvider.deleteUnused',
  `DELETE FROM model_provider WHERE address <> $1 AND used_at < statement_timestamp() - interval '1 day'`,
);

/** The providers of the installation. All processes share what was asked. */
@Injectable()
export class ModelProviderStore {
  constructor(private readonly database: Database) {}

  /** True if this process is to ask the provider now. The turn ends after `turnMs`, also if the process does. */
  async takeTurn(address: string, turnMs: number): Promise<boolean> {
    const [row] = await this.database.query<{ isMine: boolean }>(takeTurn, [address, turnMs]);
    return row!.isMine;
  }

  /** Keeps an answer until the next one, which is due in `againInMs`. A failure keeps the models that were listed before it. */
  async save(address: string, answer: ModelAnswer, againInMs: number): Promise<void> {
    if ('models' in answer) await this.database.query(saveModels, [address, answer.models, againInMs]);
    else await this.database.query(saveFailure, [address, answer.failure.code, storableText(answer.failure.message), againInMs]);
    await this.database.query(deleteUnused, [address]);
  }

  /** Says that this process does not call the provider any more. Another one that does says so soon. */
  async leave(address: string): Promise<void> {
    await this.database.query(leave, [address]);
  }
}
