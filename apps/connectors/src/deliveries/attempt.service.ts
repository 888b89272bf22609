import { Injectable } from '@nestjs/common';
import type { Receipt } from '#libs/connectors';
import { ConnectionNeedsReauth } from '#libs/connections';
import { DomainError, effectKey, failureReason } from '#libs/contracts';
import type { DestinationDocument } from '#libs/contracts';
import { idempotencyOf, secondEffect } from '#libs/deliveries';
import { Deliverers, DeliveryFailure } from '#libs/destinations';
import { BatchWriter, Configuration, DocumentSecrets } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { Stopwatch, latencyMs, wallTimeMs } from '#libs/time';
import {
  SpanKind,
  counter,
  currentTraceparent,
  durationBucketsToAnHour,
  failSpan,
  histogram,
  inSpan,
  logger,
  recordedTraceId,
  workDone,
} from '#libs/tracing';
import type { Span } from '#libs/tracing';
import type { Lease } from '#libs/work';
import { DestinationHealth } from '../destinations/destination-health.js';
import { observationOf } from './attempt.observation.js';
import type { DeliveryClaim } from './delivery.claims.js';
import { DeliveryLeaseLost, DeliveryUncertain, DeliveryWaits, DestinationDisabled, FlowDestinationUnknown } from './delivery.errors.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { AttemptResult, ClaimedDelivery, RecordedAttempt, Settled, Settlement } from './delivery-queue.table.js';
import { afterFailure } from './state-after-attempt.js';
import type { Consequence, RepeatRules } from './state-after-attempt.js';

const attempts = counter('millrace_delivery_attempts_total', 'Attempts of deliveries, by outcome: ok, or the code of the failure.', {
  tenant: 'the tenant',
  outcome: '`ok`, or a code of failures.md',
});
const uncertain = counter(
  'millrace_delivery_uncertain_attempts_total',
  'Attempts that failed without saying whether the destination took the payload.',
  { tenant: 'the tenant' },
);
const settled = counter('millrace_deliveries_total', 'Deliveries that an attempt settled, by state.', {
  tenant: 'the tenant',
  state: '`delivered`, `parked`, or `superseded` by a newer delivery of its object',
});
const aside = counter(
  'millrace_deliveries_aside_total',
  'Times a delivery stepped aside to wait for its retry, so that its queue went on.',
  { tenant: 'the tenant' },
);
const duration = histogram('millrace_delivery_attempt_duration_seconds', 'Duration of one attempt.', {
  outcome: '`ok`, or a code of failures.md',
});
const deliveryLatency = histogram(
  'millrace_accepted_to_delivered_seconds',
  'From the acceptance of an event to its delivered decision.',
  { tenant: 'the tenant', attempt: '`first`: delivered by the first attempt; else `later`' },
  durationBucketsToAnHour,
);
const log = logger('deliveries');

/** An attempt, successful or not, as it was recorded. */
export interface Attempted {
  readonly recorded: RecordedAttempt;
  /** True: another delivery may have become due by it. */
  readonly gaveTurn: boolean;
}

const delivered: Consequence = { next: { state: 'delivered', retryInMs: null }, error: null, isUncertain: false };

/** Makes one attempt of a claimed delivery: sends it, decides the state after it, and records both. */
@Injectable()
export class AttemptService {
  private readonly settlements: BatchWriter<Settlement, Settled>;

  constructor(
    table: DeliveryQueueTable,
    private readonly deliverers: Deliverers,
    private readonly configuration: Configuration,
    private readonly secrets: DocumentSecrets,
    private readonly health: DestinationHealth,
  ) {
    this.settlements = new BatchWriter({ maxBatch: 200, lingerMs: 1, write: (batch) => table.settle(batch) });
  }

  /**
   * Makes the attempt and records it.
   * @throws the signal's reason if that ended the attempt, which is not recorded then; DeliveryLeaseLost if the claim ran out before anything was
   *   sent; DeliveryWaits if the connection of the destination waits for a person; DeliveryLeaseLost or StorageUnavailable if the attempt could not be recorded
   */
  async attempt(claim: DeliveryClaim, lease: Lease): Promise<Attempted> {
    const { delivery } = claim;
    const { tenant, destination, id } = delivery;
    const parent = delivery.traceparent ?? undefined;
    const attributes = { 'millrace.delivery': id, 'millrace.destination': destination, 'millrace.attempt': delivery.attempts + 1 };
    return inSpan(`deliver ${destination}`, { kind: SpanKind.CLIENT, parent, attributes }, async (span) => {
      const configured = this.configuration.destination(tenant, destination);
      const requireClaim = (): void => {
        if (performance.now() >= lease.endsAtMs) throw new DeliveryLeaseLost(id);
      };
      requireClaim();
      const watch = new Stopwatch();
      const { receipt, error } = await this.send(claim, configured, { requireClaim, signal: lease.signal, span });
      const { startedAt, finishedAt, durationMs } = watch.stop();
      if (error instanceof ConnectionNeedsReauth) {
        await this.health.note({ tenant, destination }, observationOf(error, durationMs));
        throw new DeliveryWaits(error);
      }
      const after = error === null ? delivered : afterFailure(error, this.rulesOf(configured), delivery, { startedAt, finishedAt });
      const reason = after.error === null ? null : failureReason(after.error);
      const attempt = { startedAt, finishedAt, ...columnsOf(receipt), error: reason, isUncertain: after.isUncertain, ...after.next };
      const observed = observationOf(error, durationMs);
      const noted = this.health.note({ tenant, destination }, observed);
      if (observed.peer === 'gone') await noted.catch(() => undefined); // whoever sees the delivery parked finds its destination disabled
      const [attempted] = await Promise.all([this.record(delivery, attempt, durationMs), noted]);
      return attempted;
    });
  }

  /** Sends the delivery. Returns the receipt or the failure, and throws only if the attempt was aborted, or its claim ran out before anything was sent. */
  private async send(
    { delivery, destinationDisabled }: DeliveryClaim,
    destination: Stored<DestinationDocument> | undefined,
    { requireClaim, signal, span }: { requireClaim: () => void; signal: AbortSignal; span: Span },
  ): Promise<{ receipt: Receipt | null; error: unknown }> {
    try {
      if (destinationDisabled) throw new DestinationDisabled(delivery.destination);
      if (destination === undefined) throw new FlowDestinationUnknown(delivery.tenant, delivery.destination);
      requireOneEffect(delivery, this.rulesOf(destination)!);
      const { spec } = this.secrets.opened(destination.document);
      const traceparent = currentTraceparent(span) ?? delivery.traceparent ?? undefined;
      const { tenant, id, payload, reachedAt } = delivery;
      const outbound = { tenant, id: effectKey(id), payload, reachedAt, traceparent, requireClaim };
      return { receipt: await this.deliverers.deliver(outbound, spec, signal), error: null };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof DeliveryLeaseLost) throw error;
      failSpan(span, error);
      if (!(error instanceof DomainError))
        log.error({ err: error, deliveryId: delivery.id }, 'a deliverer failed with an unexpected error');
      return { receipt: receiptOf(error), error };
    }
  }

  private rulesOf(destination: Stored<DestinationDocument> | undefined): RepeatRules | undefined {
    if (destination === undefined) return undefined;
    const { tenant, document } = destination;
    const { retry, timeoutMs } = document.spec;
    return { retry, timeoutMs, idempotency: idempotencyOf(document.spec, this.configuration.documentsOf(tenant)) };
  }

  private async record(delivery: ClaimedDelivery, attempt: AttemptResult, durationMs: number): Promise<Attempted> {
    const { number, state, gaveTurn } = await this.settlements.add({ delivery, attempt });
    if (number === undefined || state === undefined) throw new DeliveryLeaseLost(delivery.id);
    this.report(delivery, { ...attempt, state }, number, durationMs);
    const { tenant, id: deliveryId, eventId, runId, customer, destination } = delivery;
    const recorded = {
      tenant,
      deliveryId,
      eventId,
      runId,
      customer,
      destination,
      number,
      state,
      traceparent: currentTraceparent() ?? delivery.traceparent,
      code: attempt.error?.code ?? null,
      message: attempt.error?.message ?? null,
      at: attempt.finishedAt,
    };
    return { recorded, gaveTurn };
  }

  private report(delivery: ClaimedDelivery, attempt: AttemptResult, number: number, durationMs: number): void {
    const { tenant, customer, eventId, runId, id: deliveryId, destination } = delivery;
    const { state, status } = attempt;
    const outcome = attempt.error?.code ?? 'ok';
    attempts.inc({ tenant, outcome });
    if (attempt.isUncertain) uncertain.inc({ tenant });
    duration.observe({ outcome }, durationMs / 1_000, recordedTraceId());
    if (state !== 'pending') settled.inc({ tenant, state });
    else if (!delivery.strict && !delivery.aside) aside.inc({ tenant });
    if (state === 'delivered' && delivery.generation === 0 && !delivery.redelivered) {
      const seconds = latencyMs(delivery.eventReceivedAt.getTime(), attempt.finishedAt.getTime()) / 1_000;
      deliveryLatency.observe({ tenant, attempt: number === 1 ? 'first' : 'later' }, seconds, recordedTraceId());
    }
    workDone(log, 'attempt', {
      outcome,
      durationMs,
      tenant,
      customer,
      eventId,
      runId,
      deliveryId,
      destination,
      attempt: number,
      status,
      state,
    });
  }
}

/** @throws DeliveryUncertain if the destination may have taken the delivery before, and would take it again */
function requireOneEffect(delivery: ClaimedDelivery, rules: RepeatRules): void {
  const why = secondEffect(rules, delivery, wallTimeMs());
  if (why !== undefined) throw new DeliveryUncertain(delivery.destination, delivery.reachedAt!, why);
}

function columnsOf(receipt: Receipt | null): { status: number | null; excerpt: string | null } {
  return { status: receipt?.detail.status ?? null, excerpt: receipt?.detail.excerpt ?? null };
}

function receiptOf(error: unknown): Receipt | null {
  return error instanceof DeliveryFailure ? error.receipt : null;
}
