import { Mutation, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { DeliveryRow } from '../deliveries/delivery.table.js';
import type { EventRow } from '../events/event.table.js';
import type {
  CustomerResolvers,
  DeadLetterResolvers,
  HoldResolvers,
  MutationResolvers,
  MutationRetryDeadLetterArgs,
  MutationSkipDeadLetterArgs,
  QueryDeadLetterArgs,
  QueryDeadLettersArgs,
  QueryResolvers,
} from '../generated/schema.js';
import type { CustomerRow } from '../customers/customer.table.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import type { RunRow } from '../runs/run.table.js';
import { DeadLetterTable } from './dead-letter.table.js';
import type { DeadLetterPage, DeadLetterRow } from './dead-letter.table.js';
import type { HoldRow } from './hold.table.js';
import { SettlementService } from './settlement.service.js';

@Resolver()
export class DeadLetterQueries implements Pick<QueryResolvers, 'deadLetter' | 'deadLetters'> {
  constructor(private readonly table: DeadLetterTable) {}

  @Query()
  deadLetter(_root: unknown, { id }: QueryDeadLetterArgs, { loaders }: QueryContext): Promise<DeadLetterRow | null> {
    return loaders.deadLetter.load(id);
  }

  @Query()
  deadLetters(_root: unknown, { filter, ...page }: QueryDeadLettersArgs, { principal }: QueryContext): Promise<DeadLetterPage> {
    return this.table.page(principal.tenant, filter ?? {}, page);
  }
}

@Resolver()
export class DeadLetterMutations implements Pick<MutationResolvers, 'skipDeadLetter' | 'retryDeadLetter'> {
  constructor(private readonly settlements: SettlementService) {}

  @Mutation()
  skipDeadLetter(_root: unknown, { input }: MutationSkipDeadLetterArgs, { principal }: QueryContext) {
    return answered(async () => ({ __typename: 'SkipDeadLetterSuccess' as const, ...(await this.settlements.skip(principal, input)) }));
  }

  @Mutation()
  retryDeadLetter(_root: unknown, { input }: MutationRetryDeadLetterArgs, { principal }: QueryContext) {
    return answered(async () => ({ __typename: 'RetryDeadLetterSuccess' as const, ...(await this.settlements.retry(principal, input)) }));
  }
}

@Resolver('DeadLetter')
export class DeadLetterResolver implements DeadLetterResolvers {
  @ResolveField()
  async event({ eventId }: DeadLetterRow, _args: unknown, { loaders }: QueryContext): Promise<EventRow | null> {
    return eventId === null ? null : loaders.event.load(eventId);
  }

  @ResolveField()
  async run({ runId }: DeadLetterRow, _args: unknown, { loaders }: QueryContext): Promise<RunRow | null> {
    return runId === null ? null : loaders.run.load(runId);
  }

  @ResolveField()
  async delivery({ deliveryId }: DeadLetterRow, _args: unknown, { loaders }: QueryContext): Promise<DeliveryRow | null> {
    return deliveryId === null ? null : loaders.delivery.load(deliveryId);
  }

  @ResolveField()
  holds({ id }: DeadLetterRow, _args: unknown, { loaders }: QueryContext): Promise<HoldRow[]> {
    return loaders.holdsOfDeadLetter.load(id);
  }
}

@Resolver('Customer')
export class CustomerHoldsResolver implements Pick<CustomerResolvers, 'holds'> {
  @ResolveField()
  holds({ key }: CustomerRow, _args: unknown, { loaders }: QueryContext): Promise<HoldRow[]> {
    return loaders.holdsOfCustomer.load(key);
  }
}

@Resolver('Hold')
export class HoldResolver implements HoldResolvers {
  /** Null too while the dead letter is on its way from the log. */
  @ResolveField()
  async deadLetter({ deadLetterId }: HoldRow, _args: unknown, { loaders }: QueryContext): Promise<DeadLetterRow | null> {
    return deadLetterId === null ? null : loaders.deadLetter.load(deadLetterId);
  }
}
