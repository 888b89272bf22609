import { Injectable } from '@nestjs/common';
import { Configuration, DocumentSecrets } from '#libs/persistence';
import { RequestRedaction, secretPartsOf } from '#libs/sources';

/**
 * Takes out of kept requests what is secret by their sources as they are now. Doors took out what was secret when a request came, by a source that may
 * have been wrong: it was mended, and now says that another header carries the token.
 */
@Injectable()
export class RequestRedactions {
  private readonly compiled = new WeakMap<object, RequestRedaction>();

  constructor(
    private readonly configuration: Configuration,
    private readonly secrets: DocumentSecrets,
  ) {}

  /** By source; the sources as they were committed before the call. */
  async of(tenant: string): Promise<(source: string) => RequestRedaction | undefined> {
    await this.configuration.readTenantAgain(tenant);
    return (source) => this.ofSource(tenant, source);
  }

  /** Undefined if there is no such source any more, or if it takes no webhooks. */
  private ofSource(tenant: string, name: string): RequestRedaction | undefined {
    const document = this.configuration.source(tenant, name)?.document;
    if (document === undefined) return undefined;
    const known = this.compiled.get(document);
    if (known !== undefined) return known;
    const parts = secretPartsOf(this.secrets.opened(document).spec);
    if (parts === undefined) return undefined;
    const redaction = new RequestRedaction(parts);
    this.compiled.set(document, redaction);
    return redaction;
  }
}
