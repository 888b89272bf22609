import { Controller } from '@nestjs/common';
import { CancelTrial, StartTrial, topics } from '#libs/contracts';
import { OnRecord } from '#libs/messaging';
import { TrialRunner } from './trial.runner.js';

/** Has a consumer group of its own, so that neither replays wait for trials nor trials for replays. */
@Controller()
export class TrialConsumer {
  constructor(private readonly trials: TrialRunner) {}

  @OnRecord(topics.commands, StartTrial, { group: 'trials' })
  async onStart(command: StartTrial): Promise<void> {
    await this.trials.start(command);
  }

  @OnRecord(topics.commands, CancelTrial, { group: 'trials' })
  async onCancel(command: CancelTrial): Promise<void> {
    await this.trials.cancel(command);
  }
}
