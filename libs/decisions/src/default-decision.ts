import { newRunId } from '#libs/contracts';
import type { DecisionRequest, EventReceived, PlannedDelivery } from '#libs/contracts';
import { traceIdOf } from '#libs/tracing';

/** An event of a caller who waits for a decision until a deadline. */
export type AwaitedEvent = EventReceived & {
  readonly request: DecisionRequest & { readonly deadline: NonNullable<DecisionRequest['deadline']> };
};

/** True for the event of a caller who waits until a deadline. */
export function isAwaited(event: EventReceived): event is AwaitedEvent {
  return event.request?.deadline !== undefined;
}

/** The path under which the default decision is delivered. No step has it, because names have no capitals. */
const defaultStep = 'onRequest:default';
/** The path under which a caller is told about the end of a job. */
const notifyStep = 'onRequest:done';

/**
 * The deliveries of the default decision. Their payload is that of a `deliver` step, with `default` and `reason`.
 * @param reason a code of failures.md
 */
export function defaultDeliveries(event: AwaitedEvent, reason: string): PlannedDelivery[] {
  const { eventId, type, source, customer, occurredAt, request } = event;
  const { default: decision, deliverTo } = request.deadline;
  const payload = { eventId, type, source, customer, occurredAt, flow: request.flow, decision, default: true, reason };
  return deliverTo.map((destination) => ({ step: defaultStep, destination, payload }));
}

/** The end of the run of a job, as its caller is told. */
export type JobEnd =
  | { readonly state: 'completed'; readonly decision: PlannedDelivery['payload'] }
  | { readonly state: 'failed'; readonly errorCode: string; readonly errorMessage: string };

/** Tells the destination that the caller of a job named about its end; none if the caller named none, or the run is of another flow, as after a promotion. */
export function jobNotices(flow: string, { eventId, customer, request }: EventReceived, end: JobEnd): PlannedDelivery[] {
  if (request?.notify === undefined || request.flow !== flow) return [];
  const payload = { eventId, flow, customer, ...end };
  return [{ step: notifyStep, destination: request.notify, payload }];
}

/** True for what {@link jobNotices} returned: it follows from the end of a run, and is no delivery of its flow. */
export function isJobNotice({ step }: Pick<PlannedDelivery, 'step'>): boolean {
  return step === notifyStep;
}

/** Makes the text of a statement that stores the default decision unless an end is stored, and reads these columns of the run that counts. */
export function settling(columns: string): string {
  return `SELECT ${columns} FROM settle_decision($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;
}

/** The parameters of {@link settling}. @param decideBy the deadline that has passed; default: that of the event */
export function settlingValues(
  event: AwaitedEvent,
  reason: string,
  traceparent: string | undefined,
  decideBy: Date | string = event.request.deadline.decideBy,
): unknown[] {
  const { tenant, eventId, customer, request } = event;
  const { flow, flowVersion, deadline } = request;
  const deliveries = JSON.stringify(defaultDeliveries(event, reason));
  const decision = JSON.stringify(deadline.default);
  const run = [tenant, newRunId(), eventId, customer, flow, flowVersion, traceIdOf(traceparent)];
  return [...run, decideBy, decision, deliveries, reason];
}
