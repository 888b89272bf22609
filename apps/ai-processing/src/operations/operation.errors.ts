import { DomainError } from '#libs/contracts';

/** An earlier attempt may have taken effect, and another one might take effect a second time: a person must look. */
export class OperationUncertain extends DomainError {
  readonly code = 'operation.uncertain';

  constructor(connection: string, operation: string, reachedAt: Date, why: string) {
    super(
      `${operation} of ${connection} may have taken effect since ${reachedAt.toISOString()}, and the system ${why}, so that it is not sent again`,
    );
  }
}

/** An effect may not be visible yet, so that looking for it has to wait. */
export class OperationUnsettled extends DomainError {
  readonly code = 'operation.unavailable';

  constructor(
    operation: string,
    override readonly retryAfterMs: number,
  ) {
    super(`${operation} may have taken effect, which can be looked up in ${Math.ceil(retryAfterMs)} ms`);
  }
}
