import { Controller } from '@nestjs/common';
import { DeadLettered, DeliveryRecovered, RetryDeadLetter, SkipDeadLetter, deadLetterId, topics } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import { OnRecord } from '#libs/messaging';
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
  ) {}

  @OnRecord(topics.deadLetters, DeadLettered, { group: 'dead-letters' })
  async onDeadLettered(letter: DeadLettered): Promise<void> {
    await this.deadLetters.open(letter);
  }

  @OnRecord(topics.deadLetters, DeliveryRecovered, { group: 'dead-letters' })
  async onDeliveryRecovered({ tenant, deliveryId, at }: DeliveryRecovered): Promise<void> {
    await this.deadLetters.resolveDelivery(tenant, deadLetterId(tenant, 'delivery', deliveryId), at);
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
