import { DomainError } from '#libs/contracts';

/** The system could not be asked. It may have made a webhook all the same, which a repeat finds. */
export class WebhookUnavailable extends DomainError {
  readonly code = 'webhook.unavailable';
  override readonly retryAfterMs?: number;

  constructor(connection: string, cause: DomainError) {
    super(`${connection} could not be asked about webhooks: ${cause.message} Repeating this is harmless.`, { cause });
    if (cause.retryAfterMs !== undefined) this.retryAfterMs = cause.retryAfterMs;
  }
}

/** Another request changes webhooks of the source. */
export class WebhookBusy extends DomainError {
  readonly code = 'webhook.busy';
  override readonly retryAfterMs = 5_000;

  constructor(source: string) {
    super(`Another request registers or removes the webhook of ${source}; repeat this when it has ended`);
  }
}
