import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { RequestReceived, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import type { LogOptions } from '#libs/messaging';
import { logClient } from '#libs/service';

/**
 * The way of kept requests to the log: a producer of its own, connected with the first of them. A batch fails as a whole, so a topic that this login may
 * not write, or that is not there yet, would fail the events beside it.
 */
@Injectable()
export class RequestLog implements OnApplicationShutdown {
  private producer: Promise<RecordProducer> | undefined;

  constructor(@Inject(logClient) private readonly options: LogOptions) {}

  /** @throws LogUnavailable, RecordTooLarge */
  async append(record: RequestReceived): Promise<void> {
    const producer = await (this.producer ??= this.connected());
    await producer.append(topics.requests, RequestReceived, record, { isNotice: true });
  }

  async onApplicationShutdown(): Promise<void> {
    await (await this.producer?.catch(() => undefined))?.disconnect();
  }

  /** The next request tries again after a failure. */
  private async connected(): Promise<RecordProducer> {
    const producer = new RecordProducer(this.options);
    try {
      await producer.connect();
      return producer;
    } catch (error) {
      this.producer = undefined;
      throw error;
    }
  }
}
