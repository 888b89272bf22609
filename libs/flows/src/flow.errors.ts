import { DomainError } from '#libs/contracts';
import type { PlannedDelivery, StepKind } from '#libs/contracts';
import type { StepFailure } from './step.js';

/** A validate step refused its input. Trying again cannot help: the input is stored. */
export class ValidationFailed extends DomainError {
  readonly code = 'flow.validationFailed';

  constructor(
    readonly step: string,
    readonly problems: readonly string[],
  ) {
    super(`The step ${step} refused its input: ${problems.join('; ')}`);
  }
}

/** A wait step yields no time, or one that is too far ahead. */
export class WaitUnusable extends DomainError {
  readonly code = 'flow.waitUnusable';

  constructor(step: string, problem: string) {
    super(`The wait ${step} ${problem}`);
  }
}

/** A review step yields nothing that a person can decide on. */
export class ReviewUnusable extends DomainError {
  readonly code = 'flow.reviewUnusable';

  constructor(step: string, problem: string) {
    super(`The review ${step} ${problem}`);
  }
}

/** A step waits, and the run ends its work until it is woken. It is no failure: whatever meets it lets it pass. */
export class RunWaits extends Error {
  constructor(step: string) {
    super(`The run waits at ${step}`);
  }
}
/** The items of a forEach step are too many, or their keys cannot tell them apart. */
export class ItemsRefused extends DomainError {
  readonly code = 'flow.itemsRefused';

  constructor(step: string, reason: string) {
    super(`The items of the step ${step} cannot be used: ${reason}`);
  }
}

/** A run reached a limit that holds for all its steps together. */
export class RunTooLarge extends DomainError {
  readonly code = 'flow.runTooLarge';

  constructor(reason: string) {
    super(`The run is too large: ${reason}`);
  }
}

/** The step that a failure comes from. */
export interface FailedStep {
  /** The path of the innermost step. */
  readonly step: string;
  readonly kind: StepKind;
  readonly failure: StepFailure;
}

/** A run is given up, and the steps of its flow's `onFailure` have run. */
export class FlowFailed extends Error {
  constructor(
    readonly failure: StepFailure,
    /** Also the one because of which the steps of `onFailure` did not end. */
    readonly failedSteps: readonly FailedStep[],
    readonly deliveries: readonly PlannedDelivery[],
  ) {
    super(failure.message);
  }
}

/** The failure that is told of several: preferably one that no further try can mend; a wait only if there is no failure. */
export function foremost(failures: readonly unknown[]): unknown {
  const final = failures.find((failure) => failure instanceof DomainError && failure.outcome !== 'retry');
  return final ?? failures.find((failure) => !(failure instanceof RunWaits)) ?? failures[0];
}
