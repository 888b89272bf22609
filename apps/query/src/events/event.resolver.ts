import { Query, ResolveField, Resolver } from '@nestjs/graphql';
import { eventId } from '#libs/contracts';
import type {
  EventResolvers,
  EventState,
  QueryEventArgs,
  QueryEventFromSourceArgs,
  QueryEventsArgs,
  QueryResolvers,
} from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import type { DeadLetterRow } from '../dead-letters/dead-letter.table.js';
import type { DeliveryRow } from '../deliveries/delivery.table.js';
import type { RunRow } from '../runs/run.table.js';
import type { TimelineRow } from '../timeline/timeline.table.js';
import { EventTable } from './event.table.js';
import type { EventPage, EventRow } from './event.table.js';

@Resolver()
export class EventQueries implements Pick<QueryResolvers, 'event' | 'eventFromSource' | 'events'> {
  constructor(private readonly table: EventTable) {}

  @Query()
  event(_root: unknown, { id }: QueryEventArgs, { loaders }: QueryContext): Promise<EventRow | null> {
    return loaders.event.load(id);
  }

  /** The id follows from source and provider id, so there is nothing to look up. */
  @Query()
  eventFromSource(
    _root: unknown,
    { source, providerEventId }: QueryEventFromSourceArgs,
    { principal, loaders }: QueryContext,
  ): Promise<EventRow | null> {
    return loaders.event.load(eventId(principal.tenant, source, { providerEventId }));
  }

  @Query()
  events(_root: unknown, { filter, ...page }: QueryEventsArgs, { principal }: QueryContext): Promise<EventPage> {
    return this.table.page(principal.tenant, filter ?? {}, page);
  }
}

@Resolver('Event')
export class EventResolver implements EventResolvers {
  @ResolveField()
  state({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<EventState> {
    return loaders.eventState.load(id);
  }

  @ResolveField()
  data({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<unknown> {
    return loaders.eventData.load(id);
  }

  @ResolveField()
  timeline({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<TimelineRow[]> {
    return loaders.timelineOfEvent.load(id);
  }

  @ResolveField()
  runs({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<RunRow[]> {
    return loaders.runsOfEvent.load(id);
  }

  @ResolveField()
  async decisions({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<RunRow[]> {
    return (await loaders.runsOfEvent.load(id)).filter((run) => run.state === 'completed');
  }

  @ResolveField()
  deliveries({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<DeliveryRow[]> {
    return loaders.deliveriesOfEvent.load(id);
  }

  @ResolveField()
  deadLetters({ id }: EventRow, _args: unknown, { loaders }: QueryContext): Promise<DeadLetterRow[]> {
    return loaders.deadLettersOfEvent.load(id);
  }
}
