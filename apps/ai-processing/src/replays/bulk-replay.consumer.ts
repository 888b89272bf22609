import { Controller, Inject } from '@nestjs/common';
import { BulkOperations } from '#libs/bulk';
import { CancelBulkOperation, StartBulkOperation, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import { promotionOperations } from '../trials/promotions.js';

/** Has a consumer group of its own, so that single replays and bulk operations do not wait for each other. */
@Controller()
export class BulkReplayConsumer {
  constructor(
    private readonly operations: BulkOperations,
    @Inject(promotionOperations) private readonly promotions: BulkOperations,
  ) {}

  @OnRecord(topics.commands, StartBulkOperation, { group: 'bulk-replays' })
  async onStart(command: StartBulkOperation): Promise<void> {
    await this.operations.start(command);
    await this.promotions.start(command);
  }

  @OnRecord(topics.commands, CancelBulkOperation, { group: 'bulk-replays' })
  async onCancel(command: CancelBulkOperation): Promise<void> {
    await this.operations.cancel(command);
    await this.promotions.cancel(command);
  }
}
