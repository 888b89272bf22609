import { Mutation, Query, Resolver } from '@nestjs/graphql';
import type {
  MutationBulkRedeliverArgs,
  MutationBulkReplayArgs,
  MutationCancelBulkOperationArgs,
  MutationResolvers,
  QueryBulkOperationArgs,
  QueryBulkOperationsArgs,
  QueryResolvers,
} from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import { BulkOperationService } from './bulk-operation.service.js';
import { BulkOperationTable } from './bulk-operation.table.js';
import type { BulkOperationPage, BulkOperationRow } from './bulk-operation.table.js';

@Resolver()
export class BulkOperationQueries implements Pick<QueryResolvers, 'bulkOperation' | 'bulkOperations'> {
  constructor(private readonly table: BulkOperationTable) {}

  @Query()
  bulkOperation(_root: unknown, { id }: QueryBulkOperationArgs, { loaders }: QueryContext): Promise<BulkOperationRow | null> {
    return loaders.bulkOperation.load(id);
  }

  @Query()
  bulkOperations(_root: unknown, { filter, ...page }: QueryBulkOperationsArgs, { principal }: QueryContext): Promise<BulkOperationPage> {
    return this.table.page(principal.tenant, filter ?? {}, page);
  }
}

@Resolver()
export class BulkOperationMutations implements Pick<MutationResolvers, 'bulkReplay' | 'bulkRedeliver' | 'cancelBulkOperation'> {
  constructor(private readonly operations: BulkOperationService) {}

  @Mutation()
  bulkReplay(_root: unknown, { input }: MutationBulkReplayArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'BulkReplaySuccess' as const,
      ...(await this.operations.replay(principal, input)),
    }));
  }

  @Mutation()
  bulkRedeliver(_root: unknown, { input }: MutationBulkRedeliverArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'BulkRedeliverSuccess' as const,
      ...(await this.operations.redeliver(principal, input)),
    }));
  }

  @Mutation()
  cancelBulkOperation(_root: unknown, { input }: MutationCancelBulkOperationArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'CancelBulkOperationSuccess' as const,
      ...(await this.operations.cancel(principal, input)),
    }));
  }
}
