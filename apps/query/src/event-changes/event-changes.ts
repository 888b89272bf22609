import { Injectable } from '@nestjs/common';
import { typeMatcher } from '#libs/contracts';
import { gauge } from '#libs/tracing';
import { EventTable } from '../events/event.table.js';
import type { EventRow } from '../events/event.operations.js';
import { BoundedQueue } from './bounded-queue.js';
import { SubscriberTooSlow } from './event-change.errors.js';
import type { Change, EventChangeFilter, EventChangeRow } from './event-change.operations.js';

/** A change of an event, as a record of the log reports it. */
export interface LoggedEventChange {
  change: Change;
  at: Date;
  eventId: string;
  code: string | null;
  runId: string | null;
  deliveryId: string | null;
}

interface Subscriber {
  wants: (event: EventRow) => boolean;
  queue: BoundedQueue<EventChangeRow | SubscriberTooSlow>;
}

/** Changes that may wait for one subscriber. */
const maxWaiting = 500;
const subscribers = gauge('millrace_graphql_subscribers', 'Subscriptions that are open.', []);

/** Hands changes from the log to the subscribers of their tenant, and of no other. */
@Injectable()
export class EventChanges {
  private readonly byTenant = new Map<string, Set<Subscriber>>();

  constructor(private readonly events: EventTable) {}

  subscribe(tenant: string, filter: EventChangeFilter): AsyncIterableIterator<EventChangeRow | SubscriberTooSlow> {
    const queue = new BoundedQueue<EventChangeRow | SubscriberTooSlow>(
      maxWaiting,
      () => new SubscriberTooSlow(maxWaiting),
      () => this.leave(tenant, subscriber),
    );
    const subscriber = { wants: matcher(filter), queue };
    const others = this.byTenant.get(tenant) ?? new Set();
    this.byTenant.set(tenant, others.add(subscriber));
    subscribers.inc();
    return queue;
  }

  /** Reads the event once for all subscribers of the tenant; reads nothing if there are none. */
  async publish(tenant: string, changed: LoggedEventChange): Promise<void> {
    const listening = this.byTenant.get(tenant);
    if (listening === undefined) return;
    const [event] = await this.events.byIds(tenant, [changed.eventId]);
    if (!event) return;
    for (const { wants, queue } of listening) if (wants(event)) queue.push({ ...changed, event });
  }

  private leave(tenant: string, subscriber: Subscriber): void {
    const others = this.byTenant.get(tenant);
    if (!others?.delete(subscriber)) return;
    if (others.size === 0) this.byTenant.delete(tenant);
    subscribers.dec();
  }
}

function matcher({ eventId, customer, source, type }: EventChangeFilter): (event: EventRow) => boolean {
  const fits = type == null ? () => true : typeMatcher([type]);
  const is = (wanted: string | null | undefined, value: string): boolean => wanted == null || wanted === value;
  return (event) => is(eventId, event.id) && is(customer, event.customer.key) && is(source, event.source) && fits(event.type);
}
