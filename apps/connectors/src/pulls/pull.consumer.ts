import { Controller } from '@nestjs/common';
import { StartPull, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import { PullProgressTable } from './pull-progress.table.js';
import { Puller } from './puller.js';

@Controller()
export class PullConsumer {
  constructor(
    private readonly table: PullProgressTable,
    private readonly puller: Puller,
  ) {}

  /** Handled twice, it begins twice, which changes nothing: items that were read are known. A pull that no process knows yet begins by itself. */
  @OnRecord(topics.commands, StartPull, { group: 'redeliveries' })
  async onStartPull({ tenant, pull, fromBeginning }: StartPull): Promise<void> {
    await this.table.start(tenant, pull, { fromBeginning });
    this.puller.wake();
  }
}
