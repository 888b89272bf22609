import { Injectable } from '@nestjs/common';
import { DeadLettered, DeliveryAttempted, DeliveryRecovered, deadLetterId, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { BatchWriter } from '#libs/persistence';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { RecordedAttempt } from './delivery-queue.table.js';

/** An attempt older than this is not about to be announced by the process that made it. */
const forgottenAfterMs = 10_000;
const forgottenPerRun = 200;
/** Marks of announcements wait for each other for this long, which is far less than {@link forgottenAfterMs}. */
const marksLingerMs = 500;

/**
 * Appends the result of an attempt to the log. The attempt's row is written first, and marked once the log has the announcement. An attempt that
 * stays without a mark (the process died in between, the log was away) is announced by {@link announceForgotten} of any process. So no
 * announcement is lost, and one may come twice.
 */
@Injectable()
export class AttemptAnnouncer {
  private readonly marks: BatchWriter<RecordedAttempt, void>;

  constructor(
    private readonly table: DeliveryQueueTable,
    private readonly producer: RecordProducer,
  ) {
    this.marks = new BatchWriter({
      maxBatch: 500,
      lingerMs: marksLingerMs,
      write: (attempts) => table.markAnnounced(attempts),
    });
  }

  async announce(attempt: RecordedAttempt): Promise<void> {
    const { tenant, customer, eventId, deliveryId, destination, number, state, code } = attempt;
    const at = attempt.at.toISOString();
    const trace = attempt.traceparent === null ? {} : { traceparent: attempt.traceparent };
    if (state === 'parked') await this.producer.append(topics.deadLetters, DeadLettered, deadLetterOf(attempt), trace);
    if (state === 'delivered' && number > 1) {
      await this.producer.append(topics.deadLetters, DeliveryRecovered, { tenant, customer, deliveryId, at }, trace);
    }
    const attempted = { tenant, customer, eventId, deliveryId, destination, attempt: number, state, code, at };
    await this.producer.append(topics.deliveries, DeliveryAttempted, attempted, { ...trace, isNotice: true });
    await this.marks.add(attempt);
  }

  async announceForgotten(): Promise<void> {
    for (const attempt of await this.table.unannounced(forgottenAfterMs, forgottenPerRun)) await this.announce(attempt);
  }
}

function deadLetterOf({ tenant, customer, eventId, runId, deliveryId, code, message, at }: RecordedAttempt): DeadLettered {
  return {
    tenant,
    customer,
    deadLetterId: deadLetterId(tenant, 'delivery', deliveryId),
    kind: 'delivery',
    code: code ?? 'record.defect',
    message: message ?? '',
    eventId,
    runId,
    deliveryId,
    position: null,
    valueBase64: null,
    at: at.toISOString(),
  };
}
