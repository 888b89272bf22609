import { Controller } from '@nestjs/common';
import { FireSchedule, topics } from '#libs/contracts';
import type { ScheduleDocument } from '#libs/contracts';
import { EventAppender } from '#libs/intake';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { firedEventId } from '#libs/schedules';
import { scheduleEvent, scheduleScheme } from './schedule.event.js';

@Controller()
export class ScheduleConsumer {
  constructor(
    private readonly configuration: Configuration,
    private readonly appender: EventAppender,
  ) {}

  /** The same command is the same event. A schedule that was removed meanwhile fires no more. */
  @OnRecord(topics.commands, FireSchedule, { group: 'redeliveries' })
  async onFireSchedule({ tenant, schedule, commandId, at }: FireSchedule, { traceparent }: RecordContext): Promise<void> {
    const found = (): Stored<ScheduleDocument> | undefined =>
      this.configuration.schedules().find((one) => one.tenant === tenant && one.name === schedule);
    if (found() === undefined) await this.configuration.readAgain(); // the notice of a new document may be on its way
    const stored = found();
    if (stored === undefined) return;
    const atMs = Date.parse(at);
    const event = scheduleEvent(stored, { providerEventId: firedEventId({ schedule, commandId }), occurredAtMs: atMs, receivedAtMs: atMs });
    await this.appender.append([event], () => scheduleScheme, traceparent);
  }
}
