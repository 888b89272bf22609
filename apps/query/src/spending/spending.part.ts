import { handle, part } from '../operations/part.js';
import { ModelSpendTable } from './model-spend.table.js';
import { listBudgets, listSpend } from './spending.operations.js';

export const spendingPart = part({
  providers: [ModelSpendTable],
  operations: [
    handle(listBudgets, ({ principal, get }) => get(ModelSpendTable).budgets(principal.tenant)),
    handle(listSpend, ({ principal, get }, input) => get(ModelSpendTable).spend(principal.tenant, input)),
  ],
});
