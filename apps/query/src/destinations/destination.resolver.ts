import { Mutation, Query, Resolver } from '@nestjs/graphql';
import type { MutationEnableDestinationArgs, MutationResolvers, QueryResolvers } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import { DestinationService } from './destination.service.js';
import { DestinationTable } from './destination.table.js';
import type { DestinationRow } from './destination.table.js';

@Resolver()
export class DestinationQueries implements Pick<QueryResolvers, 'destinations'> {
  constructor(private readonly table: DestinationTable) {}

  @Query()
  destinations(_root: unknown, _args: unknown, { principal }: QueryContext): Promise<DestinationRow[]> {
    return this.table.list(principal.tenant);
  }
}

@Resolver()
export class DestinationMutations implements Pick<MutationResolvers, 'enableDestination'> {
  constructor(private readonly service: DestinationService) {}

  @Mutation()
  enableDestination(_root: unknown, { input }: MutationEnableDestinationArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'EnableDestinationSuccess' as const,
      ...(await this.service.enable(principal, input)),
    }));
  }
}
