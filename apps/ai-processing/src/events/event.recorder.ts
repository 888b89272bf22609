import { Injectable } from '@nestjs/common';
import { EventRecorded, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { BatchWriter } from '#libs/persistence';
import { wallTime } from '#libs/time';
import { counter, traceIdOf } from '#libs/tracing';
import { RunWaker } from '../waits/run.waker.js';
import { EventStore } from './event.store.js';
import type { LoggedEvent } from './event.store.js';

const recorded = counter('millrace_events_recorded_total', 'Events that stand in Postgres; repeats are not counted.', {
  tenant: 'the tenant',
  lane: 'the lane',
});

const repeated = counter(
  'millrace_events_repeated_total',
  'Events that came again and became nothing new, by what told them from others: the partner’s id, or the bytes of the body.',
  { identifiedBy: ['providerEventId', 'body'] },
);

/** Stores every event in Postgres at once and independently of its flows, so that it can be queried while they wait. */
@Injectable()
export class EventRecorder {
  private readonly writer: BatchWriter<LoggedEvent, boolean>;

  constructor(
    events: EventStore,
    private readonly producer: RecordProducer,
    waker: RunWaker,
  ) {
    const write = async (records: readonly LoggedEvent[]): Promise<boolean[]> => {
      const standing = await events.record(records);
      await waker.arrived(records.map(({ event }) => event)); // after they are stored: a run that looks from now on sees them itself
      return standing;
    };
    this.writer = new BatchWriter({ maxBatch: 500, lingerMs: 2, write });
  }

  /**
   * Stores the event and announces it. A retry of the same record announces again, because the first try may have failed in between. Another record
   * of the same event does not.
   */
  async record(event: EventReceived, { topic, partition, offset, traceparent }: RecordContext): Promise<void> {
    const standsForEvent = await this.writer.add({
      event,
      traceId: traceIdOf(traceparent),
      position: { topic, partition, offset },
    });
    if (!standsForEvent) {
      repeated.inc({ identifiedBy: event.providerEventId === null ? 'body' : 'providerEventId' });
      return;
    }
    recorded.inc({ tenant: event.tenant, lane: event.lane });
    const { tenant, customer, eventId, source, type } = event;
    const at = wallTime().toISOString();
    await this.producer.append(topics.outcomes, EventRecorded, { tenant, customer, eventId, source, type, at }, { isNotice: true });
  }
}
