import { Injectable } from '@nestjs/common';
import { budgetPeriodAt, budgetStateAt, utcDayOf } from '#libs/contracts';
import type { BudgetDocument } from '#libs/contracts';
import { DocumentTable, TenantDatabase, statement } from '#libs/persistence';
import type { Session } from '#libs/persistence';
import { wallTime } from '#libs/time';
import { ArgumentInvalid } from '../operations/input.errors.js';
import { costOf } from '../runs/run.table.js';
import { mostSpendDays, mostSpendRows } from './spending.operations.js';
import type { BudgetRow, ModelSpendRow, SpendInput } from './spending.operations.js';

const ofBudget = statement(
  'query.modelSpend.ofBudget',
  `SELECT coalesce(sum(cost_nanos) FILTER (WHERE currency = $4), 0)::float8 AS nanos,
     coalesce(sum(input_tokens + output_tokens), 0)::float8 AS tokens
   FROM model_spend WHERE tenant_id = $1 AND day >= $2::date AND ($3::text[] IS NULL OR flow = ANY($3))`,
);

const grouped = statement(
  'query.modelSpend.grouped',
  `SELECT to_char(CASE WHEN $4 THEN day END, 'YYYY-MM-DD') AS day, nullif(CASE WHEN $5 THEN flow END, '-') AS flow,
     nullif(CASE WHEN $6 THEN provider END, '-') AS provider, CASE WHEN $6 THEN model END AS model, currency,
     sum(calls)::float8 AS calls, sum(input_tokens)::float8 AS "inputTokens", sum(output_tokens)::float8 AS "outputTokens",
     sum(cost_nanos)::float8 AS "costNanos"
   FROM model_spend WHERE tenant_id = $1 AND day BETWEEN $2::date AND $3::date AND ($7::text IS NULL OR flow = $7)
   GROUP BY 1, 2, 3, 4, 5 ORDER BY "costNanos" DESC, calls DESC, 1, 2, 3, 4 LIMIT ${mostSpendRows}`,
);

type SpentRow = Omit<ModelSpendRow, 'cost'> & { readonly currency: string; readonly costNanos: number };

const dayMs = 86_400_000;

/** Reads what `ai-processing` counted. */
@Injectable()
export class ModelSpendTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly documents: DocumentTable,
  ) {}

  /** By name. */
  budgets(tenant: string): Promise<BudgetRow[]> {
    return this.database.asTenant(tenant, async (session) => {
      const rows: BudgetRow[] = [];
      for (const { document } of await this.documents.current(session, tenant, 'Budget'))
        rows.push(await budgetIn(session, document as BudgetDocument));
      return rows;
    });
  }

  /** A budget that need not be stored, with what of it would be spent already. */
  budget(document: BudgetDocument): Promise<BudgetRow> {
    return this.database.asTenant(document.metadata.tenant, (session) => budgetIn(session, document));
  }

  /** @throws ArgumentInvalid */
  async spend(tenant: string, { from, to, by, flow }: SpendInput): Promise<ModelSpendRow[]> {
    const now = wallTime();
    const first = from ?? budgetPeriodAt('month', now).firstDay;
    const last = to ?? utcDayOf(now);
    requireWindow(first, last);
    const dimensions = by ?? ['flow'];
    const asked = (['day', 'flow', 'model'] as const).map((each) => dimensions.includes(each));
    const rows = await this.database.asTenant(tenant, (session) =>
      session.query<SpentRow>(grouped, [tenant, first, last, ...asked, flow ?? null]),
    );
    return rows.map(({ currency, costNanos, ...row }) => ({ ...row, cost: currency === '-' ? null : costOf(costNanos, currency) }));
  }
}

async function budgetIn(session: Session, { metadata: { tenant, name }, spec }: BudgetDocument): Promise<BudgetRow> {
  const now = wallTime();
  const { firstDay } = budgetPeriodAt(spec.per, now);
  const values = [tenant, firstDay, spec.flows ?? null, spec.currency ?? null];
  const [spent] = await session.query<{ nanos: number; tokens: number }>(ofBudget, values);
  return budgetRow(name, spec, spent!, now);
}

function budgetRow(name: string, spec: BudgetDocument['spec'], spent: { nanos: number; tokens: number }, now: Date): BudgetRow {
  const { flows, per, amount, currency, tokens, whenSpent } = spec;
  const { firstDay, endsAt } = budgetPeriodAt(per, now);
  const usedRatio = amount === undefined ? spent.tokens / tokens! : spent.nanos / 1e9 / amount;
  return {
    name,
    flows: flows ?? null,
    per,
    limit: amount === undefined ? null : costOf(Math.round(amount * 1e9), currency!),
    spent: amount === undefined ? null : costOf(spent.nanos, currency!),
    tokenLimit: tokens ?? null,
    tokensSpent: amount === undefined ? spent.tokens : null,
    usedRatio,
    state: budgetStateAt(usedRatio, spec),
    whenSpent,
    since: new Date(`${firstDay}T00:00:00Z`),
    until: endsAt,
  };
}

/** @throws ArgumentInvalid */
function requireWindow(from: string, to: string): void {
  const [fromMs, toMs] = [from, to].map((day) => Date.parse(`${day}T00:00:00Z`));
  for (const [field, ms, day] of [
    ['from', fromMs!, from],
    ['to', toMs!, to],
  ] as const)
    if (Number.isNaN(ms) || utcDayOf(new Date(ms)) !== day) throw new ArgumentInvalid(field, `is no day of the calendar: ${day}`);
  if (toMs! < fromMs!) throw new ArgumentInvalid('to', `must not be before from: ${to} is before ${from}`);
  if (toMs! - fromMs! > mostSpendDays * dayMs) throw new ArgumentInvalid('to', `must be at most ${mostSpendDays} days after from`);
}
