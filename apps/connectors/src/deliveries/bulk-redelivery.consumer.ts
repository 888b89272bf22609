import { Controller } from '@nestjs/common';
import { BulkOperations } from '#libs/bulk';
import { CancelBulkOperation, StartBulkOperation, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';

/** Has its own consumer group, so that a redelivery which waits for an attempt to end does not delay the start of an operation. */
@Controller()
export class BulkRedeliveryConsumer {
  constructor(private readonly operations: BulkOperations) {}

  @OnRecord(topics.commands, StartBulkOperation, { group: 'bulk-redeliveries' })
  async onStart(command: StartBulkOperation): Promise<void> {
    await this.operations.start(command);
  }

  @OnRecord(topics.commands, CancelBulkOperation, { group: 'bulk-redeliveries' })
  async onCancel(command: CancelBulkOperation): Promise<void> {
    await this.operations.cancel(command);
  }
}
