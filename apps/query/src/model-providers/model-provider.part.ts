import { handle, part } from '../operations/part.js';
import { listModelProviders } from './model-provider.operations.js';
import { ModelProviderTable } from './model-provider.table.js';

export const modelProviderPart = part({
  providers: [ModelProviderTable],
  operations: [handle(listModelProviders, ({ principal, get }) => get(ModelProviderTable).list(principal.tenant))],
});
