import type { IncomingHttpHeaders } from 'node:http';
import { DomainError } from '#libs/contracts';

export class OriginForbidden extends DomainError {
  readonly code = 'request.originForbidden';

  constructor() {
    super('Pages of this origin may not call. The operator can add it to ALLOWED_ORIGINS of the service.');
  }
}

/** The origins (RFC 6454) of web pages that may call this process. Programs that are no browsers send no origin, and are not concerned. */
export class AllowedOrigins {
  private readonly origins: ReadonlySet<string>;

  /** @param origins such as `https://console.example`; `*` stands for all */
  constructor(origins: readonly string[]) {
    this.origins = new Set(origins);
  }

  /** True for a page of this host itself, too. */
  allows({ origin, host }: IncomingHttpHeaders): boolean {
    if (origin === undefined || this.origins.has('*') || this.origins.has(origin)) return true;
    return host !== undefined && URL.parse(origin)?.host === host;
  }
}
