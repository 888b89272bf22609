import { Controller } from '@nestjs/common';
import { EventReceived, eventTopics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { RunService } from './run.service.js';

@Controller()
export class RunConsumer {
  constructor(private readonly runs: RunService) {}

  @OnRecord(Object.values(eventTopics), EventReceived, { group: 'flows', poison: 'park-key' })
  async onEventReceived(event: EventReceived, context: RecordContext): Promise<void> {
    await this.runs.runFlows(event, context);
  }
}
