import { Controller } from '@nestjs/common';
import { EnableDestination, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import { DestinationHealthTable } from './destination-health.table.js';

@Controller()
export class DestinationConsumer {
  constructor(private readonly health: DestinationHealthTable) {}

  @OnRecord(topics.commands, EnableDestination, { group: 'redeliveries' })
  async onEnableDestination({ tenant, destination, at }: EnableDestination): Promise<void> {
    await this.health.enable({ tenant, destination }, at);
  }
}
