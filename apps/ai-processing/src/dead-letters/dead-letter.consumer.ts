import { Controller } from '@nestjs/common';
import { DeadLettered, DeliveryAttempted, RetryDeadLetter, RunCompleted, SkipDeadLetter, deadLetterId, topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { OnRecord } from '#libs/messaging';
import { DeadLetterStore } from './dead-letter.store.js';

/** Opens a dead letter when something is given up, and resolves it when that has succeeded after all. Dead letters of held records are resolved by `libs/holds`. */
@Controller()
export class DeadLetterConsumer {
  constructor(
    private readonly deadLetters: DeadLetterStore,
    private readonly holds: HoldTable,
  ) {}

  @OnRecord(topics.deadLetters, DeadLettered, { group: 'dead-letters' })
  async onDeadLettered(letter: DeadLettered): Promise<void> {
    await this.deadLetters.open(letter);
  }

  /** A delivery that arrives at its first attempt was never parked. */
  @OnRecord(topics.deliveries, DeliveryAttempted, { group: 'dead-letters' })
  async onDeliveryAttempted({ tenant, deliveryId, state, attempt, at }: DeliveryAttempted): Promise<void> {
    if (state === 'delivered' && attempt > 1)
      await this.deadLetters.resolveDelivery(tenant, deadLetterId(tenant, 'delivery', deliveryId), at);
  }

  /** A later generation that completes resolves the dead letters of all earlier ones. */
  @OnRecord(topics.outcomes, RunCompleted, { group: 'dead-letters' })
  async onRunCompleted(run: RunCompleted): Promise<void> {
    if (run.generation > 0) await this.deadLetters.resolveEarlierRuns(run);
  }

  @OnRecord(topics.commands, SkipDeadLetter, { group: 'dead-letters' })
  async onSkipDeadLetter({ tenant, deadLetterId: id }: SkipDeadLetter): Promise<void> {
    await this.deadLetters.skip(tenant, id);
  }

  /** Stores the request. The consumer that owns the customer's partition finds it, and resolves the dead letter when it has handled the record. */
  @OnRecord(topics.commands, RetryDeadLetter, { group: 'dead-letters' })
  async onRetryDeadLetter({ tenant, deadLetterId: id }: RetryDeadLetter): Promise<void> {
    await this.holds.requestRetry(tenant, id);
  }
}
