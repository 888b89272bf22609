import { deliveryId, isUnnamedCustomer } from '#libs/contracts';
import type { PlannedDelivery } from '#libs/contracts';
import { columns } from '#libs/persistence';
import type { Configuration } from '#libs/persistence';
import { inputOf, objectOf } from './destination-expressions.js';

/** A delivery that is to be inserted. */
export interface NewDelivery {
  readonly tenant: string;
  readonly id: string;
  readonly eventId: string;
  readonly runId: string;
  readonly flow: string;
  readonly generation: number;
  readonly step: string;
  readonly customer: string;
  readonly destination: string;
  /** JSON text, sent as it is. */
  readonly payload: string;
  /** True: the later deliveries of its queue wait until it was delivered or skipped. */
  readonly strict: boolean;
  /** The key of the object that the payload sets, if a newer delivery of the same object is to take the place of this one; else null. */
  readonly object: string | null;
  /** True: it may take effect more than once. */
  readonly atLeastOnce: boolean;
  readonly traceparent: string | undefined;
  readonly eventReceivedAt: string;
}

/** The run that decided what is delivered. */
export interface DecidingRun {
  readonly tenant: string;
  readonly eventId: string;
  readonly runId: string;
  readonly flow: string;
  readonly generation: number;
  readonly customer: string;
  readonly eventReceivedAt: string;
}

/**
 * The deliveries of a decision. A decision that is handled twice gives one set of deliveries, because their ids follow from the run. The order of
 * an unnamed customer is nobody's, so a parked delivery never blocks those behind it.
 * @throws ExpressionFailed if the object of a payload, or the input of an operation, cannot be told
 */
export function newDeliveries(
  run: DecidingRun,
  planned: readonly PlannedDelivery[],
  traceparent: string | undefined,
  configuration: Configuration,
): Promise<NewDelivery[]> {
  const { tenant, eventId, runId, flow, generation, customer, eventReceivedAt } = run;
  const deliveries = planned.map(async ({ step, destination, payload, atLeastOnce = false }): Promise<NewDelivery> => {
    const configured = configuration.destination(tenant, destination);
    const sent = configured === undefined ? payload : await inputOf(configured, payload);
    return {
      tenant,
      id: deliveryId(run, step, destination),
      eventId,
      runId,
      flow,
      generation,
      step,
      customer,
      destination,
      payload: JSON.stringify(sent),
      strict: !isUnnamedCustomer(customer) && configured?.document.spec.order === 'strict',
      object: configured === undefined || isUnnamedCustomer(customer) ? null : await objectOf(configured, payload),
      atLeastOnce,
      traceparent,
      eventReceivedAt,
    };
  });
  return Promise.all(deliveries);
}

/** In the order of the parameters of the SQL function `plan_deliveries`. */
export const newDeliveryColumns = columns<NewDelivery>({
  tenant_id: ['text', (delivery) => delivery.tenant],
  id: ['text', (delivery) => delivery.id],
  event_id: ['text', (delivery) => delivery.eventId],
  run_id: ['text', (delivery) => delivery.runId],
  flow: ['text', (delivery) => delivery.flow],
  generation: ['integer', (delivery) => delivery.generation],
  step: ['text', (delivery) => delivery.step],
  customer: ['text', (delivery) => delivery.customer],
  destination: ['text', (delivery) => delivery.destination],
  payload: ['json', (delivery) => delivery.payload],
  strict: ['boolean', (delivery) => delivery.strict],
  traceparent: ['text', (delivery) => delivery.traceparent],
  event_received_at: ['timestamptz', (delivery) => delivery.eventReceivedAt],
  object: ['text', (delivery) => delivery.object],
  at_least_once: ['boolean', (delivery) => delivery.atLeastOnce],
});

/** The channel that the SQL function `plan_deliveries` notifies of new deliveries. */
export const deliveriesPlannedChannel = 'millrace_deliveries';
