import { Controller } from '@nestjs/common';
import { PromoteOutcome, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import type { RecordContext } from '#libs/messaging';
import { EventStore } from '../events/event.store.js';
import { RunService } from '../runs/run.service.js';
import { TrialStore } from './trial.store.js';

/** In the group of replays, so that what is ordered for one customer is carried out in the order in which it was ordered. */
@Controller()
export class PromotionConsumer {
  constructor(
    private readonly events: EventStore,
    private readonly trials: TrialStore,
    private readonly runs: RunService,
  ) {}

  /** An event or a trial that is gone was deleted for its age. @throws RunsUnfinished */
  @OnRecord(topics.commands, PromoteOutcome, { group: 'replays' })
  async onPromoteOutcome({ tenant, eventId, trialId, commandId }: PromoteOutcome, context: RecordContext): Promise<void> {
    const [event, outcome] = await Promise.all([this.events.find(tenant, eventId), this.trials.promotable(tenant, trialId, eventId)]);
    if (event === undefined || outcome === undefined || outcome.promotedRunId !== null) return;
    const run = await this.runs.promote(event, outcome, commandId, context);
    await this.trials.notePromoted(tenant, trialId, eventId, run.id);
  }
}
