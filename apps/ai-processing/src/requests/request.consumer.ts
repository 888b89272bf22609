import { Controller } from '@nestjs/common';
import { RequestReceived, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { RequestRecorder } from './request.recorder.js';

@Controller()
export class RequestConsumer {
  constructor(private readonly recorder: RequestRecorder) {}

  /** Shares the group of the recorder: a group of its own would cost an idle process as much as all of its records. */
  @OnRecord(topics.requests, RequestReceived, { group: 'recorder', order: 'none', fetchEveryMs: 100 })
  async onRequestReceived(request: RequestReceived, context: RecordContext): Promise<void> {
    await this.recorder.record(request, context);
  }
}
