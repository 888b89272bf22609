import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { budgetPeriodAt, utcDayOf } from '#libs/contracts';
import type { ModelAttempt, ModelCandidate, ModelSpending, SpendingOwner } from '#libs/models';
import { Configuration } from '#libs/persistence';
import { wallTime } from '#libs/time';
import { counter, gauge, logger } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { Budget } from './budgets.js';
import { SpendTable } from './spend.table.js';
import type { FlowSpend, SpendRow } from './spend.table.js';

const everyMs = 1_000;
/** How long another process may spend before this one knows. */
const readEveryMs = 5_000;

const costs = counter(
  'millrace_model_cost_total',
  'Costs of calls, by the prices in the documents of their providers, in units of the currency.',
  {
    tenant: 'the tenant',
    provider: 'the name of the ModelProvider document',
    model: 'the model, as the flow names it',
    currency: 'a code of ISO 4217',
  },
);
const used = gauge('millrace_budget_used_ratio', 'The part of a budget that is spent in its day or month; 1 is all of it.', {
  tenant: 'the tenant',
  budget: 'the name of the Budget document',
});
const log = logger('spending');

/**
 * Adds up what calls of models cost, and knows the budgets. Costs are written once a second, so that no call waits for it; a process that is killed loses
 * the sums of its last second, and never a record of an attempt. Other processes' calls are known five seconds later at the latest.
 */
@Injectable()
export class SpendingService implements ModelSpending, OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly passes = new Periodically('adding up costs of models', everyMs, () => this.pass());
  private pending = new Map<string, SpendRow>();
  private budgets: readonly Budget[] = [];
  private readAt = -Infinity;
  /** The state of each budget that was told last. */
  private readonly told = new Map<string, Budget['state']>();
  private stopListening: (() => void) | undefined;

  constructor(
    private readonly table: SpendTable,
    private readonly configuration: Configuration,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.stopListening = this.configuration.onRead(() => (this.readAt = -Infinity));
    await this.pass().catch((error: unknown) => log.warn({ err: error }, 'reading what is spent failed'));
    this.passes.start();
  }

  /** Runs have ended by then. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopListening?.();
    await this.passes.stop();
    await this.write();
  }

  requireAllowance(owner: SpendingOwner, candidate: Pick<ModelCandidate, 'price'>): void {
    if (this.budgets.length === 0) return;
    const now = wallTime();
    for (const budget of this.budgets) if (budget.tenant === owner.tenant) budget.requireAllowance(owner, candidate, now);
  }

  note({ tenant, flow = '-' }: SpendingOwner, attempt: ModelAttempt): void {
    const { provider, model, startedAt, inputTokens, outputTokens, costNanos, currency } = attempt;
    if (costNanos !== null && currency !== null) costs.inc({ tenant, provider: provider ?? '-', model, currency }, costNanos / 1e9);
    const row: SpendRow = {
      tenant,
      day: utcDayOf(startedAt),
      flow,
      provider: provider ?? '-',
      model,
      currency: currency ?? '-',
      calls: 1,
      inputTokens: inputTokens ?? 0,
      outputTokens: outputTokens ?? 0,
      costNanos: costNanos ?? 0,
    };
    this.collect(row);
    for (const budget of this.budgets) budget.add(spendOf(row));
  }

  /** Writes what was spent, and reads what others did if that is due. */
  async pass(): Promise<void> {
    await this.write();
    if (performance.now() - this.readAt < readEveryMs) return;
    await this.read();
  }

  /** Rows that could not be written are written with the next pass. */
  private async write(): Promise<void> {
    if (this.pending.size === 0) return;
    const rows = [...this.pending.values()];
    this.pending = new Map();
    try {
      await this.table.add(rows);
    } catch (error) {
      for (const row of rows) this.collect(row);
      throw error;
    }
  }

  private collect(row: SpendRow): void {
    const { tenant, day, flow, provider, model, currency } = row;
    const identity = JSON.stringify([tenant, day, flow, provider, model, currency]);
    const known = this.pending.get(identity);
    if (known === undefined) return void this.pending.set(identity, row);
    known.calls += row.calls;
    known.inputTokens += row.inputTokens;
    known.outputTokens += row.outputTokens;
    known.costNanos += row.costNanos;
  }

  private async read(): Promise<void> {
    const readAt = performance.now();
    const documents = this.configuration.ready() ? this.configuration.budgets() : [];
    const budgets = documents.map((stored) => new Budget(stored));
    if (budgets.length > 0) {
      const now = wallTime();
      const tenants = [...new Set(budgets.map(({ tenant }) => tenant))];
      const stored = await this.table.since(tenants, budgetPeriodAt('month', now).firstDay);
      const pending = [...this.pending.values()].map(spendOf);
      for (const budget of budgets) budget.restart([...stored, ...pending], now);
    }
    this.budgets = budgets;
    this.readAt = readAt;
    used.reset();
    for (const budget of budgets) this.tell(budget);
  }

  private tell(budget: Budget): void {
    const { tenant, name, state, usedRatio } = budget;
    used.set({ tenant, budget: name }, usedRatio);
    const identity = `${tenant}/${name}`;
    if (this.told.get(identity) === state) return;
    this.told.set(identity, state);
    if (state !== 'open')
      log.warn({ tenant, budget: name, usedRatio }, state === 'spent' ? 'a budget is spent' : 'a budget is nearly spent');
  }
}

function spendOf(row: SpendRow): FlowSpend {
  return { ...row, tokens: row.inputTokens + row.outputTokens };
}
