import { Injectable } from '@nestjs/common';
import { Database, statement } from '#libs/persistence';

/** The calls of one flow to one model on one day. */
export interface SpendRow {
  readonly tenant: string;
  /** In UTC, such as `2026-01-31`. */
  readonly day: string;
  readonly flow: string;
  /** `-`: that of the installation. */
  readonly provider: string;
  readonly model: string;
  /** `-`: the calls had no price. */
  readonly currency: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  costNanos: number;
}

/** The part of a row that budgets look at. */
export type FlowSpend = Pick<SpendRow, 'tenant' | 'day' | 'flow' | 'currency' | 'costNanos'> & { readonly tokens: number };

/** Ordered, so that two processes that add to the same rows do not wait for each other in a circle. */
const add = statement(
  'modelSpend.add',
  `INSERT INTO model_spend AS spend (tenant_id, day, flow, provider, model, currency, calls, input_tokens, output_tokens, cost_nanos)
   SELECT row.tenant, row.day, row.flow, row.provider, row.model, row.currency, row.calls, row."inputTokens", row."outputTokens", row."costNanos"
   FROM json_to_recordset($1) AS row (tenant text, day date, flow text, provider text, model text, currency text, calls bigint,
     "inputTokens" bigint, "outputTokens" bigint, "costNanos" bigint)
   ORDER BY 1, 2, 3, 4, 5, 6
   ON CONFLICT (tenant_id, day, flow, provider, model, currency) DO UPDATE SET calls = spend.calls + EXCLUDED.calls,
     input_tokens = spend.input_tokens + EXCLUDED.input_tokens, output_tokens = spend.output_tokens + EXCLUDED.output_tokens,
     cost_nanos = spend.cost_nanos + EXCLUDED.cost_nanos`,
);
const since = statement(
  'modelSpend.since',
  `SELECT tenant_id AS tenant, to_char(day, 'YYYY-MM-DD') AS day, flow, currency, sum(cost_nanos)::float8 AS "costNanos",
     sum(input_tokens + output_tokens)::float8 AS tokens
   FROM model_spend WHERE tenant_id = ANY($1::text[]) AND day >= $2::date GROUP BY 1, 2, 3, 4`,
);
const deleteBefore = statement('modelSpend.deleteBefore', `DELETE FROM model_spend WHERE tenant_id = $1 AND day < $2::date`);

@Injectable()
export class SpendTable {
  constructor(private readonly database: Database) {}

  async add(rows: readonly SpendRow[]): Promise<void> {
    await this.database.query(add, [JSON.stringify(rows)]);
  }

  /** @param day the first one */
  since(tenants: readonly string[], day: string): Promise<FlowSpend[]> {
    return this.database.query<FlowSpend>(since, [tenants, day]);
  }

  async deleteBefore(tenant: string, day: string): Promise<void> {
    await this.database.query(deleteBefore, [tenant, day]);
  }
}
