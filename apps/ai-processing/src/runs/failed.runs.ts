import { Injectable } from '@nestjs/common';
import { deadLetterId } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { RunGivenUp } from './run.errors.js';
import type { FinishedRun } from './run.store.js';

/** Whether an event's customer has to wait for its failed runs, by the policies of their flows. */
@Injectable()
export class FailedRuns {
  constructor(
    private readonly configuration: Configuration,
    private readonly deadLetters: DeadLetterStore,
  ) {}

  /** @throws RunGivenUp for the first one whose dead letter nobody has settled, by a replay or by skipping it */
  async holdCustomer(runs: readonly FinishedRun[]): Promise<void> {
    const failed = runs.filter(({ state }) => state === 'failed');
    if (failed.length === 0) return;
    const letterOf = ({ tenant, id }: FinishedRun): string => deadLetterId(tenant, 'run', id);
    const resolved = await this.deadLetters.resolvedOf(failed[0]!.tenant, failed.map(letterOf));
    for (const run of failed) {
      if (!resolved.has(letterOf(run)) && (await this.holds(run))) throw new RunGivenUp(run.id, letterOf(run));
    }
  }

  /** By the version that the run has kept. */
  private async holds({ tenant, flow, flowVersion }: FinishedRun): Promise<boolean> {
    const { document } = await this.configuration.flowVersion(tenant, flow, flowVersion);
    return document.spec.onFailure === 'park-key';
  }
}
