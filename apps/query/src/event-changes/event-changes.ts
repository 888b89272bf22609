import { Injectable } from '@nestjs/common';
import { typeMatcher } from '#libs/contracts';
import { Listeners } from '#libs/messaging';
import { BatchWriter } from '#libs/persistence';
import { counter, gauge } from '#libs/tracing';
import { EventTable } from '../events/event.table.js';
import type { EventRow } from '../events/event.operations.js';
import { typeCondition } from '../paging/filter.js';
import { ChangeQueue } from './change-queue.js';
import type { ChangeBatch } from './change-queue.js';
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
  queue: ChangeQueue<EventChangeRow>;
}

/** The subscribers of one tenant. */
interface Audience {
  readonly subscribers: Set<Subscriber>;
  /** Joins the reads of many changes into one statement. */
  readonly events: BatchWriter<string, EventRow | null>;
}

/** Changes that are sent together, with what their fields need loaded together. */
const maxBatch = 50;
/** Changes that may wait for one subscriber before those of the same event are merged. */
const mergeAbove = 500;
/** Events whose changes may wait for one subscriber. */
const maxEvents = 10_000;
/** Events that are read in one statement. */
const maxReads = 200;

const open = gauge('millrace_graphql_subscribers', 'Subscriptions that are open.', {});
const merged = counter(
  'millrace_graphql_changes_merged_total',
  'Changes left out because a later one of the same event was to be sent.',
  {},
);

/** Hands changes from the log to the subscribers of their tenant, and of no other. */
@Injectable()
export class EventChanges {
  private readonly byTenant = new Map<string, Audience>();

  constructor(
    private readonly events: EventTable,
    private readonly listeners: Listeners,
  ) {}

  /** @throws ArgumentInvalid if the filter's type is no type and no prefix */
  subscribe(tenant: string, filter: EventChangeFilter): AsyncIterableIterator<ChangeBatch<EventChangeRow>> {
    const queue = new ChangeQueue<EventChangeRow>({
      keyOf: ({ event }) => event.id,
      maxBatch,
      mergeAbove,
      maxKeys: maxEvents,
      overflow: () => new SubscriberTooSlow(maxEvents, 'events'),
      onMerge: (leftOut) => merged.inc(leftOut),
      onEnd: () => this.leave(tenant, subscriber),
    });
    const subscriber = { wants: matcher(filter), queue };
    const audience = this.byTenant.get(tenant) ?? this.audienceOf(tenant);
    this.byTenant.set(tenant, audience);
    audience.subscribers.add(subscriber);
    this.listeners.add(tenant);
    open.inc();
    return queue;
  }

  /** Reads the event once for all subscribers of the tenant; reads nothing if there are none. */
  async publish(tenant: string, changed: LoggedEventChange): Promise<void> {
    const audience = this.byTenant.get(tenant);
    if (audience === undefined) return;
    const event = await audience.events.add(changed.eventId);
    if (event === null) return;
    const change = { ...changed, merged: 0, event };
    for (const { wants, queue } of audience.subscribers) if (wants(event)) queue.push(change);
  }

  private audienceOf(tenant: string): Audience {
    const events = new BatchWriter<string, EventRow | null>({ maxBatch: maxReads, write: (ids) => this.events.byIds(tenant, ids) });
    return { subscribers: new Set(), events };
  }

  private leave(tenant: string, subscriber: Subscriber): void {
    const audience = this.byTenant.get(tenant);
    if (!audience?.subscribers.delete(subscriber)) return;
    if (audience.subscribers.size === 0) this.byTenant.delete(tenant);
    this.listeners.remove(tenant);
    open.dec();
  }
}

/** @throws ArgumentInvalid */
function matcher({ eventId, customer, source, type }: EventChangeFilter): (event: EventRow) => boolean {
  typeCondition(type); // refuses what the filter of a list refuses
  const fits = type == null ? () => true : typeMatcher([type]);
  const is = (wanted: string | null | undefined, value: string): boolean => wanted == null || wanted === value;
  return (event) => is(eventId, event.id) && is(customer, event.customer.key) && is(source, event.source) && fits(event.type);
}
