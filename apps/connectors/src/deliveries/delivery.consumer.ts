import { Controller } from '@nestjs/common';
import { Redeliver, RunCompleted, SkipDeadLetter, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { DeliveryService } from './delivery.service.js';

@Controller()
export class DeliveryConsumer {
  constructor(private readonly deliveries: DeliveryService) {}

  /** Only records of default decisions, and of builds until 2026-11-29, have deliveries that are still to be planned. All others are notices. */
  @OnRecord(topics.outcomes, RunCompleted, { group: 'deliveries', poison: 'park-key', fetchEveryMs: 500, passesNotices: true })
  async onRunCompleted(run: RunCompleted, { traceparent }: RecordContext): Promise<void> {
    await this.deliveries.plan(run, traceparent);
  }

  @OnRecord(topics.commands, Redeliver, { group: 'redeliveries' })
  async onRedeliver(command: Redeliver): Promise<void> {
    await this.deliveries.redeliver(command);
  }

  @OnRecord(topics.commands, SkipDeadLetter, { group: 'redeliveries' })
  async onSkipDeadLetter(command: SkipDeadLetter): Promise<void> {
    await this.deliveries.skip(command);
  }
}
