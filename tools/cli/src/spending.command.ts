import { counted } from './counted.js';
import type { Connection } from './connection.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';

interface Cost {
  amount: string;
  currency: string;
}

interface Budget {
  name: string;
  flows: string[] | null;
  per: 'DAY' | 'MONTH';
  limit: Cost | null;
  spent: Cost | null;
  tokenLimit: number | null;
  tokensSpent: number | null;
  usedRatio: number;
  state: 'OPEN' | 'NEARLY_SPENT' | 'SPENT';
  whenSpent: string;
  until: string;
}

const allBudgets = `{ budgets { name flows per limit { amount currency } spent { amount currency } tokenLimit tokensSpent usedRatio state whenSpent until } }`;

/** `millrace budgets`: each with what of it is spent. */
export async function budgets(connection: Connection, output: Output): Promise<void> {
  const { budgets: all } = await ask<{ budgets: Budget[] }>(connection, allBudgets);
  if (all.length === 0) return output.note('The tenant has no Budget document.');
  for (const budget of all) {
    const { name, flows, limit, spent, tokenLimit, tokensSpent, usedRatio, state, whenSpent, until } = budget;
    const amounts = limit === null ? `${tokensSpent} of ${tokenLimit} tokens` : `${spent!.amount} of ${limit.amount} ${limit.currency}`;
    const line = [
      name,
      flows === null ? 'all flows' : flows.join(','),
      `${amounts} (${Math.floor(usedRatio * 100)} %)`,
      state.toLowerCase().replace('_', ' '),
      `then ${whenSpent.toLowerCase()}`,
      `until ${until}`,
    ];
    output.result(budget, line.join('  '));
  }
}

/** The options of `millrace spend`. */
export interface SpendOptions {
  from?: string;
  to?: string;
  by?: string[];
  flow?: string;
}

interface ModelSpend {
  day: string | null;
  flow: string | null;
  provider: string | null;
  model: string | null;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  cost: Cost | null;
}

const spendBy = `query Spend($from: String, $to: String, $by: [SpendDimension!], $flow: String) {
  modelSpend(from: $from, to: $to, by: $by, flow: $flow) { day flow provider model calls inputTokens outputTokens cost { amount currency } }
}`;

/** `millrace spend`: what calls of models used and cost. */
export async function spend(connection: Connection, { from, to, by, flow }: SpendOptions, output: Output): Promise<void> {
  const variables = { from, to, flow, by: by?.map((dimension) => dimension.toUpperCase()) };
  const { modelSpend: lines } = await ask<{ modelSpend: ModelSpend[] }>(connection, spendBy, variables);
  if (lines.length === 0) return output.note('No call of a model was counted in this time.');
  const dimensions = by ?? ['flow'];
  for (const line of lines) {
    const { day, flow: ofFlow, provider, model, calls, inputTokens, outputTokens, cost } = line;
    const words = [
      ...(dimensions.includes('day') ? [day] : []),
      ...(dimensions.includes('flow') ? [ofFlow ?? 'no flow'] : []),
      ...(dimensions.includes('model') ? [`${provider ?? 'installation'}/${model}`] : []),
      counted(calls, 'call'),
      `${inputTokens} + ${outputTokens} tokens`,
      cost === null ? 'no price' : `${cost.amount} ${cost.currency}`,
    ];
    output.result(line, words.join('  '));
  }
}
