import type { BudgetPeriod, BudgetSpec } from './documents/budget.document.js';

/** The day of a time in UTC, such as `2026-01-31`. */
export function utcDayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** The first day of the period that a time is in, and when the next one begins. */
export function budgetPeriodAt(per: BudgetPeriod, time: Date): { firstDay: string; endsAt: Date } {
  const [year, month] = [time.getUTCFullYear(), time.getUTCMonth()];
  if (per === 'month') return { firstDay: utcDayOf(new Date(Date.UTC(year, month, 1))), endsAt: new Date(Date.UTC(year, month + 1, 1)) };
  return { firstDay: utcDayOf(time), endsAt: new Date(Date.UTC(year, month, time.getUTCDate() + 1)) };
}

/** How much of a budget is spent. @param usedRatio the part of it; above 1 if more was spent than there is */
export function budgetStateAt(usedRatio: number, { warnAt }: Pick<BudgetSpec, 'warnAt'>): 'open' | 'nearlySpent' | 'spent' {
  if (usedRatio >= 1) return 'spent';
  return usedRatio >= warnAt ? 'nearlySpent' : 'open';
}
