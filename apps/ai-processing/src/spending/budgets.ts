import { budgetPeriodAt, budgetStateAt } from '#libs/contracts';
import type { BudgetDocument } from '#libs/contracts';
import { ModelBudgetSpent, ModelNotFree } from '#libs/models';
import type { ModelCandidate, SpendingOwner } from '#libs/models';
import type { Stored } from '#libs/persistence';
import { latencyMs } from '#libs/time';
import type { FlowSpend } from './spend.table.js';

/** Runs look again within a minute, because a budget can be raised. */
const longestWaitMs = 60_000;
const nanos = 1e9;

/** A budget with what of it is spent in the period at hand. */
export class Budget {
  private spent = 0;
  private firstDay = '';
  private endsAt = new Date(0);

  constructor(private readonly stored: Stored<BudgetDocument>) {}

  get tenant(): string {
    return this.stored.tenant;
  }

  get name(): string {
    return this.stored.name;
  }

  /** The part of it that is spent; above 1 if more was spent than there is. */
  get usedRatio(): number {
    const { amount, tokens } = this.stored.document.spec;
    return this.spent / (amount ?? tokens!);
  }

  get state(): ReturnType<typeof budgetStateAt> {
    return budgetStateAt(this.usedRatio, this.stored.document.spec);
  }

  /** Counts anew. @param all what was spent at least since the period began */
  restart(all: readonly FlowSpend[], now: Date): void {
    ({ firstDay: this.firstDay, endsAt: this.endsAt } = budgetPeriodAt(this.stored.document.spec.per, now));
    this.spent = 0;
    for (const one of all) this.add(one);
  }

  add(spend: FlowSpend): void {
    if (spend.day < this.firstDay || spend.tenant !== this.tenant || !this.isOf(spend.flow)) return;
    const { amount, currency } = this.stored.document.spec;
    if (amount === undefined) this.spent += spend.tokens;
    else if (spend.currency === currency) this.spent += spend.costNanos / nanos;
  }

  /** @throws ModelBudgetSpent, ModelNotFree */
  requireAllowance({ flow }: SpendingOwner, { price }: Pick<ModelCandidate, 'price'>, now: Date): void {
    const { whenSpent, amount, currency, tokens } = this.stored.document.spec;
    if (whenSpent === 'warn' || now >= this.endsAt || this.usedRatio < 1 || !this.isOf(flow ?? '-')) return;
    if (amount !== undefined && price?.currency !== currency) return;
    const whole = amount === undefined ? `${tokens} tokens` : `${amount} ${currency}`;
    const message = `The budget ${this.name} is spent: ${whole} until ${this.endsAt.toISOString()}`;
    if (whenSpent === 'degrade') throw new ModelNotFree(message, { budget: this.name });
    const retryAfterMs = Math.min(longestWaitMs, latencyMs(now.getTime(), this.endsAt.getTime()));
    throw new ModelBudgetSpent(message, { budget: this.name, endsAt: this.endsAt, retryAfterMs });
  }

  private isOf(flow: string): boolean {
    return this.stored.document.spec.flows?.includes(flow) ?? true;
  }
}
