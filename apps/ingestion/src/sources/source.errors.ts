import { DomainError } from '#libs/contracts';

/** The Source document cannot be used as it is. The partner did nothing wrong, and is asked to come back once it has been mended. */
export class SourceUnusable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 60_000;
  constructor(address: string, cause: unknown) {
    super(`The source ${address} is not configured rightly; come back later`, { cause });
  }
}
