import { DomainError } from '#libs/contracts';
import type { ExpressionFailure, ExpressionLimit } from './evaluation.js';

/** The text is not a JSONata expression, or uses a construct without limits: `$eval`, a regular expression that needs backtracking. */
export class ExpressionInvalid extends DomainError {
  readonly code = 'document.invalid';

  constructor(
    readonly expression: string,
    readonly reason: string,
    /** The offset in the text at which reading stopped, if it is known. */
    readonly position: number | undefined,
    cause: unknown,
  ) {
    super(`${reason}${position === undefined ? '' : ` (at character ${position})`}, in the expression ${quoted(expression)}`, { cause });
  }
}

/** The expression could not be evaluated on this input: a type did not fit, a limit was reached, or the result is not JSON. */
export class ExpressionFailed extends DomainError {
  readonly code = 'flow.expressionFailed';

  /** The limit that was reached; undefined if it failed for another reason. */
  readonly limit: ExpressionLimit | undefined;
  readonly reason: string;
  /** The offset in the text at which it failed, if it is known. */
  readonly position: number | undefined;

  constructor(
    readonly expression: string,
    { reason, limit, position, cause }: ExpressionFailure,
  ) {
    super(`${reason}, in the expression ${quoted(expression)}`, { cause });
    this.limit = limit;
    this.reason = reason;
    this.position = position;
  }
}

/** Expressions can be long; the start is enough to find one. */
function quoted(text: string): string {
  return `'${text.length > 80 ? `${text.slice(0, 80)}…` : text}'`;
}
