import { Injectable } from '@nestjs/common';
import { failurePolicyOf } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { RunGivenUp } from './run.errors.js';
import { isCancelled } from './run.store.js';
import type { FinishedRun } from './run.store.js';

/** Decides by the policies of the flows whether a customer's later events wait for failed runs. */
@Injectable()
export class FailedRuns {
  constructor(
    private readonly configuration: Configuration,
    private readonly deadLetters: DeadLetterStore,
  ) {}

  /** @throws RunGivenUp for the first failed run whose dead letter is open, or the one of a later generation that took its place: no replay has completed and nobody has skipped it */
  async holdCustomer(runs: readonly FinishedRun[]): Promise<void> {
    const failed = runs.filter((run) => run.state === 'failed' && !isCancelled(run));
    if (failed.length === 0) return;
    const open = await this.deadLetters.openOf(
      failed[0]!.tenant,
      failed.map(({ id }) => id),
    );
    for (const run of failed) {
      const letter = open.get(run.id);
      if (letter !== undefined && (await this.holds(run))) throw new RunGivenUp(letter.runId, letter.deadLetterId);
    }
  }

  /** Reads the policy from the version of the flow that the run started with. */
  private async holds({ tenant, flow, flowVersion }: FinishedRun): Promise<boolean> {
    const { document } = await this.configuration.flowVersion(tenant, flow, flowVersion);
    return failurePolicyOf(document.spec) === 'park-key';
  }
}
