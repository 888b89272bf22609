import { Injectable } from '@nestjs/common';
import { SecretBox, SecretUnreadable } from '#libs/auth';
import { DomainError, mapSecrets, tenantOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';

/** A secret of a document was sealed with a key that this process does not have. The work waits until it has it, or the document is applied again. */
export class DocumentSecretsUnreadable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 60_000;

  constructor(document: Document, cause: SecretUnreadable) {
    super(`The secrets of ${document.kind}/${document.metadata.name} of ${tenantOf(document)} cannot be read: ${cause.message}`, { cause });
  }
}

/** Opens the secrets of a document for the code that signs or verifies with them. Everywhere else they stay sealed, in memory too. */
@Injectable()
export class DocumentSecrets {
  /** Held as long as the sealed version is, so that a hot path opens a version once. */
  private readonly known = new WeakMap<Document, Document>();

  constructor(private readonly secretBox: SecretBox) {}

  /**
   * The document with its secrets in the clear.
   * @throws DocumentSecretsUnreadable
   */
  opened<D extends Document>(document: D): D {
    const known = this.known.get(document);
    if (known !== undefined) return known as D;
    const opened = this.open(document);
    this.known.set(document, opened);
    return opened;
  }

  private open<D extends Document>(document: D): D {
    try {
      return mapSecrets(document, (secret) => ({ value: this.secretBox.clearText(secret) }));
    } catch (error) {
      throw error instanceof SecretUnreadable ? new DocumentSecretsUnreadable(document, error) : error;
    }
  }
}
