import { Controller } from '@nestjs/common';
import { DeliveryAttempted, EventRecorded, RunCompleted, RunFailed, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { Change } from './event-change.operations.js';
import { EventChanges } from './event-changes.js';

/** Every process hears everything: a subscriber's socket is on one of them. */
const everyProcess = { group: 'subscriptions', audience: 'every-process', fetchEveryMs: 100 } as const;

const changeOf: Record<DeliveryAttempted['state'], Change> = {
  delivered: 'delivered',
  pending: 'retrying',
  parked: 'parked',
  superseded: 'superseded',
};

@Controller()
export class EventChangesConsumer {
  constructor(private readonly changes: EventChanges) {}

  @OnRecord(topics.outcomes, EventRecorded, everyProcess)
  onRecorded({ tenant, eventId, at }: EventRecorded): Promise<void> {
    return this.changes.publish(tenant, { change: 'recorded', at: new Date(at), eventId, code: null, runId: null, deliveryId: null });
  }

  @OnRecord(topics.outcomes, RunCompleted, everyProcess)
  onCompleted({ tenant, eventId, runId, at }: RunCompleted): Promise<void> {
    return this.changes.publish(tenant, { change: 'decided', at: new Date(at), eventId, code: null, runId, deliveryId: null });
  }

  @OnRecord(topics.outcomes, RunFailed, everyProcess)
  onFailed({ tenant, eventId, runId, code, at }: RunFailed): Promise<void> {
    return this.changes.publish(tenant, { change: 'failed', at: new Date(at), eventId, code, runId, deliveryId: null });
  }

  @OnRecord(topics.deliveries, DeliveryAttempted, everyProcess)
  onAttempted({ tenant, eventId, deliveryId, state, code, at }: DeliveryAttempted): Promise<void> {
    return this.changes.publish(tenant, { change: changeOf[state], at: new Date(at), eventId, code, runId: null, deliveryId });
  }
}
