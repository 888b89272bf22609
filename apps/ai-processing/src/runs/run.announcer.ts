import { Injectable } from '@nestjs/common';
import { DeadLettered, DecisionReplied, RunCompleted, RunFailed, deadLetterId, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { latencyMs, wallTimeMs } from '#libs/time';
import { isCancelled } from './run.store.js';
import type { FinishedRun } from './run.store.js';

type CompletedRun = Extract<FinishedRun, { state: 'completed' }>;

/** The clocks of two processes may differ by so much. */
const replyGraceMs = 5_000;

/** Announces the end of a run. It reads only stored values, so a repeated announcement says the same. A later generation that completes resolves the dead letters of all earlier ones. A run that was cancelled has none. */
@Injectable()
export class RunAnnouncer {
  constructor(
    private readonly producer: RecordProducer,
    private readonly deadLetters: DeadLetterStore,
  ) {}

  async announce(run: FinishedRun, event: EventReceived): Promise<void> {
    const { tenant, customer, eventId, flow, flowVersion, generation } = run;
    const about = { tenant, customer, eventId, runId: run.id, flow, flowVersion, generation, at: run.finishedAt.toISOString() };
    if (run.state === 'completed') {
      if (generation > 0) await this.deadLetters.resolveEarlierRuns(about);
      const { decision, deliveries } = run;
      const completed = { ...about, eventReceivedAt: event.receivedAt, decision, deliveries };
      await Promise.all([
        this.producer.append(topics.outcomes, RunCompleted, completed, { isNotice: deliveries.length === 0 }),
        generation === 0 && flow === event.request?.flow ? this.reply(run, event) : undefined,
      ]);
      return;
    }
    const { errorCode: code, errorMessage: message } = run;
    if (!isCancelled(run)) {
      await this.producer.append(topics.deadLetters, DeadLettered, {
        tenant,
        customer,
        deadLetterId: deadLetterId(tenant, 'run', run.id),
        kind: 'run',
        code,
        message,
        eventId,
        runId: run.id,
        deliveryId: null,
        position: null,
        valueBase64: null,
        at: about.at,
      });
    }
    await this.producer.append(topics.outcomes, RunFailed, { ...about, code, message });
  }

  /** Tells the caller who waits for the decision. If the record is lost, the caller is told by Postgres. */
  private async reply(run: CompletedRun, { request }: EventReceived): Promise<void> {
    if (request?.reply === undefined || latencyMs(Date.parse(request.reply.until), wallTimeMs()) > replyGraceMs) return;
    const { tenant, customer, eventId, decision, defaultReason, finishedAt } = run;
    const { to } = request.reply;
    await this.producer.append(topics.replies, DecisionReplied, {
      tenant,
      customer,
      eventId,
      to,
      decision,
      defaultReason,
      at: finishedAt.toISOString(),
    });
  }
}
