import { Resolver, Subscription } from '@nestjs/graphql';
import type { SubscriptionEventChangedArgs } from '../generated/schema.js';
import type { QueryContext } from '../graphql/context.js';
import { SubscriberTooSlow } from '../graphql/request.errors.js';
import { EventChanges } from './event-changes.js';
import type { EventChangeRow } from './event-changes.js';

@Resolver()
export class EventChangeSubscriptions {
  constructor(private readonly changes: EventChanges) {}

  @Subscription('eventChanged', { resolve: orThrow })
  eventChanged(
    _root: unknown,
    { filter }: SubscriptionEventChangedArgs,
    { principal }: QueryContext,
  ): AsyncIterableIterator<EventChangeRow | SubscriberTooSlow> {
    return this.changes.subscribe(principal.tenant, filter ?? {});
  }
}

/** The last item of a subscriber that fell behind becomes an error of the stream. */
function orThrow(item: EventChangeRow | SubscriberTooSlow): EventChangeRow {
  if (item instanceof SubscriberTooSlow) throw item;
  return item;
}
