import { DomainError } from '#libs/contracts';

interface Cause {
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** The provider could not be reached, failed, answered with something that is no answer, or not by the deadline. */
export class ModelUnavailable extends DomainError {
  readonly code = 'model.unavailable';
  override readonly retryAfterMs?: number;
  constructor(message: string, { retryAfterMs, cause }: Cause = {}) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** The provider limits the rate, and asks for a longer wait than the caller's deadline leaves. */
export class ModelLimited extends DomainError {
  readonly code = 'model.limited';
  override readonly retryAfterMs?: number;
  constructor(message: string, { retryAfterMs, cause }: Cause = {}) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}

/** The key is wrong, forbidden or out of credit. Ours to mend, so the event waits for as long as that takes and is never parked for it. */
export class ModelCredentialRefused extends DomainError {
  readonly code = 'model.credential';
  override readonly ours = true;
}

/** The provider will not answer this request, however often it is asked: unknown model, wrong parameter, too long a context, a policy, a refusal. */
export class ModelRefused extends DomainError {
  readonly code = 'model.refused';
}

/** What came back is not JSON, or not what the schema asks for, or was cut off. */
export class ModelOutputInvalid extends DomainError {
  readonly code = 'model.invalidOutput';
  constructor(
    /** One line each; they name places in the schema and never quote the output. */
    readonly problems: readonly string[],
  ) {
    super(`The model's output does not fit: ${problems.join('; ')}`);
  }
}

/** Every way in which a call can fail. */
export type ModelFailure = ModelUnavailable | ModelLimited | ModelCredentialRefused | ModelRefused | ModelOutputInvalid;

export function isModelFailure(error: unknown): error is ModelFailure {
  return error instanceof DomainError && error.code.startsWith('model.');
}
