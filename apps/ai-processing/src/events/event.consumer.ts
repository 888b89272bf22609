import { Controller } from '@nestjs/common';
import { EventReceived, eventTopics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventRecorder } from './event.recorder.js';

@Controller()
export class EventConsumer {
  constructor(private readonly recorder: EventRecorder) {}

  @OnRecord(Object.values(eventTopics), EventReceived, { group: 'recorder', order: 'none', fetchEveryMs: 100 })
  async onEventReceived(event: EventReceived, context: RecordContext): Promise<void> {
    await this.recorder.record(event, context);
  }
}
