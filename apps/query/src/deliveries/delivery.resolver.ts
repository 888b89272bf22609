import { Mutation, Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { EventRow } from '../events/event.table.js';
import type {
  DeliveryResolvers,
  MutationRedeliverArgs,
  MutationResolvers,
  QueryDeliveriesArgs,
  QueryDeliveryArgs,
  QueryResolvers,
} from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { answered } from '../graphql/user-errors.js';
import type { RunRow } from '../runs/run.table.js';
import { DeliveryTable } from './delivery.table.js';
import type { AttemptRow, DeliveryPage, DeliveryRow } from './delivery.table.js';
import { RedeliveryService } from './redelivery.service.js';

@Resolver()
export class DeliveryQueries implements Pick<QueryResolvers, 'delivery' | 'deliveries'> {
  constructor(private readonly table: DeliveryTable) {}

  @Query()
  delivery(_root: unknown, { id }: QueryDeliveryArgs, { loaders }: QueryContext): Promise<DeliveryRow | null> {
    return loaders.delivery.load(id);
  }

  @Query()
  deliveries(_root: unknown, { filter, ...page }: QueryDeliveriesArgs, { principal }: QueryContext): Promise<DeliveryPage> {
    return this.table.page(principal.tenant, filter ?? {}, page);
  }
}

@Resolver()
export class DeliveryMutations implements Pick<MutationResolvers, 'redeliver'> {
  constructor(private readonly redeliveries: RedeliveryService) {}

  @Mutation()
  redeliver(_root: unknown, { input }: MutationRedeliverArgs, { principal }: QueryContext) {
    return answered(async () => ({
      __typename: 'RedeliverSuccess' as const,
      ...(await this.redeliveries.redeliver(principal, input)),
    }));
  }
}

@Resolver('Delivery')
export class DeliveryResolver implements DeliveryResolvers {
  /** A delivery never stands without its event and its run: both are stored before it is planned. */
  @ResolveField()
  async event({ eventId }: DeliveryRow, _args: unknown, { loaders }: QueryContext): Promise<EventRow> {
    return (await loaders.event.load(eventId))!;
  }

  @ResolveField()
  async run({ runId }: DeliveryRow, _args: unknown, { loaders }: QueryContext): Promise<RunRow> {
    return (await loaders.run.load(runId))!;
  }

  @ResolveField()
  attempts({ id }: DeliveryRow, _args: unknown, { loaders }: QueryContext): Promise<AttemptRow[]> {
    return loaders.attemptsOfDelivery.load(id);
  }
}
