import { Injectable } from '@nestjs/common';
import type { RequestReceived } from '#libs/contracts';
import type { RecordContext } from '#libs/messaging';
import { BatchWriter } from '#libs/persistence';
import { traceIdOf } from '#libs/tracing';
import { RequestStore } from './request.store.js';
import type { LoggedRequest } from './request.store.js';

/** Stores the requests that doors kept. */
@Injectable()
export class RequestRecorder {
  private readonly writer: BatchWriter<LoggedRequest, void>;

  constructor(requests: RequestStore) {
    this.writer = new BatchWriter({ maxBatch: 100, lingerMs: 20, write: (records) => requests.record(records) });
  }

  async record(request: RequestReceived, { traceparent }: RecordContext): Promise<void> {
    await this.writer.add({ request, traceId: traceIdOf(traceparent) });
  }
}
