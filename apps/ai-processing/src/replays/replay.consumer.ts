import { Controller } from '@nestjs/common';
import { NotFound, ReplayEvent, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventStore } from '../events/event.store.js';
import { RunService } from '../runs/run.service.js';

@Controller()
export class ReplayConsumer {
  constructor(
    private readonly events: EventStore,
    private readonly runs: RunService,
  ) {}

  /** @throws NotFound, EventUnrecorded, RunsUnfinished */
  @OnRecord(topics.commands, ReplayEvent, { group: 'replays' })
  async onReplayEvent(command: ReplayEvent, context: RecordContext): Promise<void> {
    const { tenant, eventId } = command;
    const event = await this.events.find(tenant, eventId);
    if (event === undefined) {
      await this.runs.requireNoRuns(tenant, eventId);
      throw new NotFound('event', eventId);
    }
    await this.runs.rerunFlows(event, command, context);
  }
}
