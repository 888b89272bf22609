import { DomainError } from '#libs/contracts';

/** The Source document cannot be used. The partner is not at fault, so it is asked to retry after the document was corrected. */
export class SourceUnusable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 60_000;
  constructor(address: string, cause: unknown) {
    super(`The source ${address} is not configured rightly; come back later`, { cause });
  }
}
