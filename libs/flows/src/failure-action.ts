import { DomainError } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';

/** The action that follows a failed try of a run. */
export type FailureAction =
  /** Try again without counting the failure: the claim was lost, or limits or a credential must change first. */
  | 'wait'
  /** Try again, and count the failure against the retry budget. */
  | 'retry'
  /** End the run as failed: no further try can help, or the budget is spent. */
  | 'give-up';

/**
 * A run waits as long as a model's provider or another system limits the rate or refuses the credential, or a model is away or nowhere, a budget is spent, a connection waits for a person, or its tenant's
 * own work is in the way. Parking it would only make work for an operator.
 */
const waitedFor: readonly FailureCode[] = [
  'model.limited',
  'model.budgetSpent',
  'model.credential',
  'model.misconfigured',
  'model.outage',
  'operation.limited',
  'operation.unauthorized',
  'connection.needsReauth',
  'evaluation.busy',
];
/** True if a run waits until the failure has passed, however long that takes, because something outside of it has to change. */
export function isWaitedOut(error: unknown): error is DomainError {
  return error instanceof DomainError && waitedFor.includes(error.code);
}

/** A defect may pass. The second one in a run is taken as permanent. */
const defectRetries = 1;

/** @param failures earlier tries of the run that counted */
export function actionAfter(error: unknown, failures: number, retries: number): FailureAction {
  if (!(error instanceof DomainError)) return failures < defectRetries ? 'retry' : 'give-up';
  if (error.outcome !== 'retry') return 'give-up';
  if (error.ours || isWaitedOut(error)) return 'wait';
  return failures < retries ? 'retry' : 'give-up';
}
