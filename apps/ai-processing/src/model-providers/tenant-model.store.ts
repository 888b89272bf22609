import { Injectable } from '@nestjs/common';
import { Database, statement, storableText } from '#libs/persistence';
import type { ModelAnswer } from './model-provider.store.js';

/** A version of a ModelProvider document. */
export interface ProviderVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
}

/** Takes the providers that are due, each for one process. A new version forgets what was known of the one before. */
const takeTurns = statement(
  'tenantModel.takeTurns',
  `INSERT INTO tenant_model_provider AS known (tenant_id, name, version, due_at)
   SELECT tenant_id, name, version, statement_timestamp() + $4 * interval '1 ms'
   FROM unnest($1::text[], $2::text[], $3::integer[]) AS given (tenant_id, name, version) ORDER BY tenant_id, name
   ON CONFLICT (tenant_id, name) DO UPDATE SET due_at = EXCLUDED.due_at, version = EXCLUDED.version,
     models = CASE WHEN known.version = EXCLUDED.version THEN known.models END,
     listed_at = CASE WHEN known.version = EXCLUDED.version THEN known.listed_at END,
     asked_at = CASE WHEN known.version = EXCLUDED.version THEN known.asked_at END,
     error_code = CASE WHEN known.version = EXCLUDED.version THEN known.error_code END,
     error_message = CASE WHEN known.version = EXCLUDED.version THEN known.error_message END
   WHERE known.version < EXCLUDED.version OR (known.version = EXCLUDED.version AND known.due_at <= statement_timestamp())
   RETURNING tenant_id AS tenant, name, version`,
);

const saveModels = statement(
  'tenantModel.saveModels',
  `UPDATE tenant_model_provider SET models = $4, listed_at = statement_timestamp(), asked_at = statement_timestamp(), error_code = NULL, error_message = NULL,
     due_at = statement_timestamp() + $5 * interval '1 ms'
   WHERE tenant_id = $1 AND name = $2 AND version = $3`,
);

const saveFailure = statement(
  'tenantModel.saveFailure',
  `UPDATE tenant_model_provider SET error_code = $4, error_message = $5, asked_at = statement_timestamp(), due_at = statement_timestamp() + $6 * interval '1 ms'
   WHERE tenant_id = $1 AND name = $2 AND version = $3`,
);

const saveOutages = statement(
  'tenantModel.saveOutages',
  `INSERT INTO model_outage (tenant_id, provider, model, seen_at)
   SELECT tenant_id, provider, model, statement_timestamp()
   FROM unnest($1::text[], $2::text[], $3::text[]) AS given (tenant_id, provider, model) ORDER BY 1, 2, 3
   ON CONFLICT (tenant_id, provider, model) DO UPDATE SET seen_at = EXCLUDED.seen_at`,
);

const deleteOld = statement(
  'tenantModel.deleteOld',
  `WITH outages AS (DELETE FROM model_outage WHERE seen_at < statement_timestamp() - interval '1 hour')
   DELETE FROM tenant_model_provider WHERE due_at < statement_timestamp() - interval '1 day'`,
);

/** The models of tenants' providers. All processes share what was asked. */
@Injectable()
export class TenantModelStore {
  constructor(private readonly database: Database) {}

  /** Returns the providers that this process is to ask now. The turns end after `turnMs`, also if the process does. */
  takeTurns(providers: readonly ProviderVersion[], turnMs: number): Promise<ProviderVersion[]> {
    const columns = [providers.map(({ tenant }) => tenant), providers.map(({ name }) => name), providers.map(({ version }) => version)];
    return this.database.query<ProviderVersion>(takeTurns, [...columns, turnMs]);
  }

  /** Keeps an answer until the next one, which is due in `againInMs`. A failure keeps the models that were listed before it. */
  async save({ tenant, name, version }: ProviderVersion, answer: ModelAnswer, againInMs: number): Promise<void> {
    const at = [tenant, name, version];
    if ('models' in answer) await this.database.query(saveModels, [...at, answer.models, againInMs]);
    else await this.database.query(saveFailure, [...at, answer.failure.code, storableText(answer.failure.message), againInMs]);
  }

  /** Says that these models are out, for as long as it is said again. */
  async saveOutages(outages: readonly { tenant: string; provider: string | null; model: string }[]): Promise<void> {
    if (outages.length === 0) return;
    const columns = [
      outages.map(({ tenant }) => tenant),
      outages.map(({ provider }) => provider ?? '-'),
      outages.map(({ model }) => model),
    ];
    await this.database.query(saveOutages, columns);
  }

  /** Deletes what nobody has said for long: of documents that were removed, and of models that are back. */
  async deleteOld(): Promise<void> {
    await this.database.query(deleteOld);
  }
}
