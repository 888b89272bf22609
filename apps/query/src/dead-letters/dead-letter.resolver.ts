import { Query, ResolveField, Resolver } from '@nestjs/graphql';
import type { DeliveryRow } from '../deliveries/delivery.table.js';
import type { EventRow } from '../events/event.table.js';
import type { DeadLetterResolvers, QueryDeadLetterArgs, QueryDeadLettersArgs, QueryResolvers } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import type { RunRow } from '../runs/run.table.js';
import { DeadLetterTable } from './dead-letter.table.js';
import type { DeadLetterPage, DeadLetterRow } from './dead-letter.table.js';

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
}
