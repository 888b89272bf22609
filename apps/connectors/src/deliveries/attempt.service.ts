import { Injectable } from '@nestjs/common';
import { DomainError } from '#libs/contracts';
import type { DestinationDocument } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { SpanKind, counter, currentTraceparent, failSpan, histogram, inSpan, logger, workDone } from '#libs/tracing';
import type { Span } from '#libs/tracing';
import { AnsweredError } from '../connectors/connector.errors.js';
import { ConnectorRegistry } from '../connectors/connector.registry.js';
import type { Receipt } from '../connectors/connector.js';
import { verdictOn } from './attempt.verdict.js';
import { DeliveryLeaseLost, DestinationUnknown } from './delivery.errors.js';
import { DeliveryTable } from './delivery.table.js';
import type { AttemptRow, ClaimedDelivery, RecordedAttempt } from './delivery.table.js';

const attempts = counter('millrace_delivery_attempts_total', 'Attempts of deliveries, by outcome: ok, or the code of the failure.', [
  'tenant',
  'outcome',
]);
const settled = counter('millrace_deliveries_total', 'Deliveries that came to rest, by state: delivered or parked.', ['tenant', 'state']);
const duration = histogram('millrace_delivery_attempt_duration_seconds', 'Duration of one attempt.', ['outcome']);
const deliveryLatency = histogram('millrace_accepted_to_delivered_seconds', 'From the acceptance of an event to its delivered decision.', [
  'tenant',
]);
const log = logger('deliveries');

/** Makes one attempt of a claimed delivery: sends, decides what follows, records. */
@Injectable()
export class AttemptService {
  constructor(
    private readonly table: DeliveryTable,
    private readonly connectors: ConnectorRegistry,
    private readonly configuration: Configuration,
  ) {}

  /**
   * Returns the attempt as it was recorded, whatever its outcome.
   * @throws the signal's reason where that ended the attempt, which then counts for nothing; DeliveryLeaseLost, StorageUnavailable where it could
   *   not be recorded
   */
  async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<RecordedAttempt> {
    const { tenant, destination, id } = delivery;
    const parent = delivery.traceparent ?? undefined;
    const attributes = { 'millrace.delivery': id, 'millrace.destination': destination, 'millrace.attempt': delivery.attempts + 1 };
    return inSpan(`deliver ${destination}`, { kind: SpanKind.CLIENT, parent, attributes }, async (span) => {
      const found = this.configuration.destination(tenant, destination);
      return this.record(delivery, await this.send(delivery, found, signal, span));
    });
  }

  /** One attempt's outcome, whatever it is. */
  private async send(
    delivery: ClaimedDelivery,
    destination: Stored<DestinationDocument> | undefined,
    signal: AbortSignal,
    span: Span,
  ): Promise<AttemptRow> {
    const startedAt = new Date();
    try {
      if (destination === undefined) throw new DestinationUnknown(delivery.tenant, delivery.destination);
      const { spec } = destination.document;
      const traceparent = currentTraceparent(span) ?? delivery.traceparent ?? undefined;
      const receipt = await this.connectors
        .of(spec.kind)
        .attempt({ id: delivery.id, payload: delivery.payload, traceparent }, spec, signal);
      return { startedAt, finishedAt: new Date(), ...answered(receipt), error: null, state: 'delivered', retryInMs: null };
    } catch (error) {
      signal.throwIfAborted();
      failSpan(span, error);
      if (!(error instanceof DomainError)) log.error({ err: error, deliveryId: delivery.id }, 'a connector failed in a way nobody foresaw');
      const verdict = verdictOn(error, destination?.document.spec.retry, delivery.retriesLeft);
      return { startedAt, finishedAt: new Date(), ...answered(receiptOf(error)), error: reasonOf(error), ...verdict };
    }
  }

  private async record(delivery: ClaimedDelivery, attempt: AttemptRow): Promise<RecordedAttempt> {
    const number = await this.table.settle(delivery, attempt);
    if (number === undefined) throw new DeliveryLeaseLost(delivery.id);
    this.report(delivery, attempt, number);
    const { tenant, id: deliveryId, eventId, runId, customer, destination } = delivery;
    return {
      tenant,
      deliveryId,
      eventId,
      runId,
      customer,
      destination,
      number,
      state: attempt.state,
      traceparent: currentTraceparent() ?? delivery.traceparent,
      code: attempt.error?.code ?? null,
      message: attempt.error?.message ?? null,
      at: attempt.finishedAt,
    };
  }

  private report(delivery: ClaimedDelivery, attempt: AttemptRow, number: number): void {
    const { tenant, customer, eventId, runId, id: deliveryId, destination } = delivery;
    const { state, status } = attempt;
    const outcome = attempt.error?.code ?? 'ok';
    const durationMs = attempt.finishedAt.getTime() - attempt.startedAt.getTime();
    attempts.inc({ tenant, outcome });
    duration.observe({ outcome }, durationMs / 1_000);
    if (state !== 'pending') settled.inc({ tenant, state });
    if (state === 'delivered' && delivery.generation === 0 && !delivery.redelivered) {
      deliveryLatency.observe({ tenant }, (attempt.finishedAt.getTime() - delivery.eventReceivedAt.getTime()) / 1_000);
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

function answered(receipt: Receipt | null): { status: number | null; excerpt: string | null } {
  return { status: receipt?.status ?? null, excerpt: receipt?.excerpt ?? null };
}

function receiptOf(error: unknown): Receipt | null {
  return error instanceof AnsweredError ? error.receipt : null;
}

function reasonOf(error: unknown): { code: string; message: string } {
  if (error instanceof DomainError) return { code: error.code, message: error.message };
  return { code: 'record.defect', message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}
