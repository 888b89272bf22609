import { Controller } from '@nestjs/common';
import { CancelRun, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventStore } from '../events/event.store.js';
import { RunService } from './run.service.js';

@Controller()
export class CancelRunConsumer {
  constructor(
    private readonly events: EventStore,
    private readonly runs: RunService,
  ) {}

  /** An event that is gone was deleted with its runs. @throws RunLeasedElsewhere, EventUnrecorded */
  @OnRecord(topics.commands, CancelRun, { group: 'dead-letters' })
  async onCancelRun({ tenant, eventId, runId, actor, reason }: CancelRun, context: RecordContext): Promise<void> {
    const event = await this.events.find(tenant, eventId);
    if (event === undefined) await this.runs.requireNoRuns(tenant, eventId);
    else await this.runs.cancelRun(runId, { actor, reason }, event, context);
  }
}
