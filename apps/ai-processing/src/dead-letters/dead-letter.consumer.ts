import { Controller } from '@nestjs/common';
import { DeadLettered, DeliveryRecovered, RetryDeadLetter, SkipDeadLetter, deadLetterId, topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventStore } from '../events/event.store.js';
import { RunService } from '../runs/run.service.js';
import { DeadLetterStore } from './dead-letter.store.js';

/**
 * Opens a dead letter when something is given up, and resolves it when that has succeeded after all. Those of runs are resolved where a later
 * generation is announced, and those of held records by `libs/holds`. It reads no topic that an event without a failure has a record on.
 */
@Controller()
export class DeadLetterConsumer {
  constructor(
    private readonly deadLetters: DeadLetterStore,
    private readonly holds: HoldTable,
    private readonly events: EventStore,
    private readonly runs: RunService,
  ) {}

  @OnRecord(topics.deadLetters, DeadLettered, { group: 'dead-letters' })
  async onDeadLettered(letter: DeadLettered): Promise<void> {
    await this.deadLetters.open(letter);
  }

  @OnRecord(topics.deadLetters, DeliveryRecovered, { group: 'dead-letters' })
  async onDeliveryRecovered({ tenant, deliveryId, at }: DeliveryRecovered): Promise<void> {
    await this.deadLetters.resolveDelivery(tenant, deadLetterId(tenant, 'delivery', deliveryId), at);
  }

  /**
   * Retries that have not ended are cancelled: nothing of what was given up for good takes effect later. The dead letter is resolved before, so no further retry
   * begins, and its customer does not wait for one that a process is at work on. @throws RunLeasedElsewhere while one is
   */
  @OnRecord(topics.commands, SkipDeadLetter, { group: 'dead-letters' })
  async onSkipDeadLetter({ tenant, deadLetterId: id, kind, actor }: SkipDeadLetter, context: RecordContext): Promise<void> {
    await this.deadLetters.skip(tenant, id);
    if (kind !== 'run') return;
    for (const { runId, eventId } of await this.deadLetters.retriesToWithdraw(tenant, id)) {
      const event = await this.events.find(tenant, eventId);
      const reason = `its dead letter ${id} was skipped`;
      if (event === undefined) await this.runs.requireNoRuns(tenant, eventId);
      else await this.runs.cancelRun(runId, { actor, reason }, event, context);
    }
  }

  /** Stores the request. The consumer that owns the customer's partition finds it, and resolves the dead letter when it has handled the record. */
  @OnRecord(topics.commands, RetryDeadLetter, { group: 'dead-letters' })
  async onRetryDeadLetter({ tenant, deadLetterId: id }: RetryDeadLetter): Promise<void> {
    await this.holds.requestRetry(tenant, id);
  }
}
