import { Controller } from '@nestjs/common';
import { ContinueRun, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventStore } from '../events/event.store.js';
import { RunService } from '../runs/run.service.js';

@Controller()
export class ContinueRunConsumer {
  constructor(
    private readonly events: EventStore,
    private readonly runs: RunService,
  ) {}

  /** An event that is gone was deleted with its runs. @throws RunsUnfinished */
  @OnRecord(topics.commands, ContinueRun, { group: 'replays' })
  async onContinueRun({ tenant, eventId, runId }: ContinueRun, context: RecordContext): Promise<void> {
    const event = await this.events.find(tenant, eventId);
    if (event !== undefined) await this.runs.continueRun(runId, event, context);
  }
}
