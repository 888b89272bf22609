import type { BudgetPeriod } from './documents/budget.document.js';

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
