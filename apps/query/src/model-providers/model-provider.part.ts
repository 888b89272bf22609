import { handle, part } from '../operations/part.js';
import { listModelProviders } from './model-provider.operations.js';
import { ModelProviderTable } from './model-provider.table.js';
import { listModels } from './model.operations.js';
import { ModelTable } from './model.table.js';

export const modelProviderPart = part({
  providers: [ModelProviderTable, ModelTable],
  operations: [
    handle(listModelProviders, ({ principal, get }) => get(ModelProviderTable).list(principal.tenant)),
    handle(listModels, ({ principal, get }, input) => get(ModelTable).list(principal.tenant, input)),
  ],
});
