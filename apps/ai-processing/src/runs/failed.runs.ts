import { Injectable } from '@nestjs/common';
import { deadLetterId, failurePolicyOf } from '#libs/contracts';
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

  /** @throws RunGivenUp for the first failed run whose dead letter is open: no replay has completed and nobody has skipped it */
  async holdCustomer(runs: readonly FinishedRun[]): Promise<void> {
    const failed = runs.filter((run) => run.state === 'failed' && !isCancelled(run));
    if (failed.length === 0) return;
    const letterOf = ({ tenant, id }: FinishedRun): string => deadLetterId(tenant, 'run', id);
    const resolved = await this.deadLetters.resolvedOf(failed[0]!.tenant, failed.map(letterOf));
    for (const run of failed) {
      if (!resolved.has(letterOf(run)) && (await this.holds(run))) throw new RunGivenUp(run.id, letterOf(run));
    }
  }

  /** Reads the policy from the version of the flow that the run started with. */
  private async holds({ tenant, flow, flowVersion }: FinishedRun): Promise<boolean> {
    const { document } = await this.configuration.flowVersion(tenant, flow, flowVersion);
    return failurePolicyOf(document.spec) === 'park-key';
  }
}
