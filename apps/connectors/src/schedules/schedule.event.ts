import type { EventReceived, ScheduleDocument } from '#libs/contracts';
import { eventReceived } from '#libs/intake';
import type { Stored } from '#libs/persistence';

/** The `scheme` of the events of schedules in metrics. */
export const scheduleScheme = 'schedule';

/** The event of a tick, or of a request to fire now. The same id is the same event. */
export function scheduleEvent(
  { tenant, name, document }: Stored<ScheduleDocument>,
  { providerEventId, occurredAtMs, receivedAtMs }: { providerEventId: string; occurredAtMs: number; receivedAtMs: number },
): EventReceived {
  const { type, customer, data } = document.spec.event;
  const payload = Buffer.from(JSON.stringify(data));
  return eventReceived({
    tenant,
    source: name,
    customer: customer ?? null,
    lane: 'normal',
    type,
    providerEventId,
    occurredAt: new Date(occurredAtMs).toISOString(),
    receivedAtMs,
    contentType: 'application/json',
    payload,
    text: undefined,
  });
}
