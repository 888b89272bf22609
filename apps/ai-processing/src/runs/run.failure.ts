import { DomainError } from '#libs/contracts';

/** What follows from a failed try of a run. */
export type Verdict =
  /** Try again; it is not the run's fault, or the model's limits and credential are being waited for. */
  | 'wait'
  /** Try again, and count it. */
  | 'retry'
  /** No further try can help, or the budget is spent. */
  | 'give-up';

/** An event waits for as long as the provider limits us or refuses our key: parking it would only make work for an operator. */
const waitedFor = ['model.limited', 'model.credential'];
/** A defect may be a passing one; a second time it is not. */
const defectRetries = 1;

/** @param failures earlier tries of the run that counted */
export function verdictOn(error: unknown, failures: number, retries: number): Verdict {
  if (!(error instanceof DomainError)) return failures < defectRetries ? 'retry' : 'give-up';
  if (error.outcome !== 'retry') return 'give-up';
  if (error.ours || waitedFor.includes(error.code)) return 'wait';
  return failures < retries ? 'retry' : 'give-up';
}
