import { Injectable } from '@nestjs/common';
import { SecretBox, SecretUnreadable } from '#libs/auth';
import type { SecretPlace } from '#libs/auth';
import { DomainError, clearText, mapSecrets, tenantOf } from '#libs/contracts';
import type { ConnectionDocument, Document, Secret } from '#libs/contracts';

/** A secret of a document was sealed with a key that this process does not have. The work waits until it has it, or the document is applied again. */
export class DocumentSecretsUnreadable extends DomainError {
  readonly code = 'configuration.unavailable';
  override readonly ours = true;
  override readonly retryAfterMs = 60_000;

  constructor(document: Document, cause: SecretUnreadable) {
    super(`The secrets of ${document.kind}/${document.metadata.name} of ${tenantOf(document)} cannot be read: ${cause.message}`, { cause });
  }
}

/**
 * Seals and opens the secrets of documents, each for its place: the document and the field that hold it. Everywhere but in the code that signs
 * or verifies with them they stay sealed, in memory too.
 */
@Injectable()
export class DocumentSecrets {
  /** Held as long as the sealed version is, so that a hot path opens a version once. */
  private readonly known = new WeakMap<Document, Document>();

  constructor(private readonly secretBox: SecretBox) {}

  /**
   * A stored document with its secrets in the clear. Those of connections are opened by `libs/connections` alone, which uses
   * {@link openedConnection}.
   * @throws DocumentSecretsUnreadable
   */
  opened<D extends Exclude<Document, ConnectionDocument>>(document: D): D {
    return this.openedOnce(document);
  }

  /** @throws DocumentSecretsUnreadable */
  openedConnection(document: ConnectionDocument): ConnectionDocument {
    return this.openedOnce(document);
  }

  private openedOnce<D extends Document>(document: D): D {
    const known = this.known.get(document);
    if (known !== undefined) return known as D;
    const opened = this.open(document);
    this.known.set(document, opened);
    return opened;
  }

  /**
   * A given document with its secrets in the clear. Sealed ones are opened only if they were sealed for this document and field.
   * @param refuse is called for each secret that cannot be opened; it stays as it was given
   */
  openedAsGiven<D extends Document>(document: D, refuse: (path: string[], error: SecretUnreadable) => void): D {
    return mapSecrets(document, (secret, path) => {
      try {
        return { value: this.clearTextOfGiven(secret, placeOf(document, path)), ...originOf(secret) };
      } catch (error) {
        if (!(error instanceof SecretUnreadable)) throw error;
        refuse(path, error);
        return secret;
      }
    });
  }

  /**
   * A given document with its secrets sealed. The places of those that come from the secret store stay beside them.
   * @throws SecretUnreadable if one of them was sealed for another document or field, or elsewhere
   */
  sealed<D extends Document>(document: D): D {
    const opened = this.openedAsGiven(document, (_, error) => {
      throw error;
    });
    return mapSecrets(opened, (secret, path) => ({
      ...this.secretBox.seal(clearText(secret), placeOf(document, path)),
      ...originOf(secret),
    }));
  }

  /**
   * A stored document with every secret sealed in the current format under the current key.
   * @param keep is called for each secret that cannot be opened; it stays as it is
   */
  resealed<D extends Document>(document: D, keep: (path: string[]) => void = () => undefined): D {
    return mapSecrets(document, (secret, path) => {
      if ('sealed' in secret && this.secretBox.isCurrent(secret.sealed)) return secret;
      const place = placeOf(document, path);
      try {
        return { ...this.secretBox.seal(this.clearTextOfStored(secret, place), place), ...originOf(secret) };
      } catch (error) {
        if (!(error instanceof SecretUnreadable)) throw error;
        keep(path);
        return secret;
      }
    });
  }

  /** A stored document as a printed difference shows it: each secret as its fingerprint; if it cannot be opened, as the stored one. */
  fingerprinted<D extends Document>(document: D): D {
    return mapSecrets(document, (secret, path) => ({
      sealed: '',
      fingerprint: this.fingerprintOf(secret, placeOf(document, path)),
      ...originOf(secret),
    }));
  }

  private open<D extends Document>(document: D): D {
    try {
      return mapSecrets(document, (secret, path) => ({ value: this.clearTextOfStored(secret, placeOf(document, path)) }));
    } catch (error) {
      throw error instanceof SecretUnreadable ? new DocumentSecretsUnreadable(document, error) : error;
    }
  }

  private fingerprintOf(secret: Secret, place: SecretPlace): string {
    try {
      return this.secretBox.fingerprint(this.clearTextOfStored(secret, place), place);
    } catch (error) {
      if (error instanceof SecretUnreadable && 'fingerprint' in secret) return secret.fingerprint;
      throw error;
    }
  }

  private clearTextOfGiven(secret: Secret, place: SecretPlace): string {
    return 'value' in secret ? secret.value : this.secretBox.open(sealedText(secret), place);
  }

  private clearTextOfStored(secret: Secret, place: SecretPlace): string {
    return 'value' in secret ? secret.value : this.secretBox.openStored(sealedText(secret), place);
  }
}

/** @throws SecretUnreadable for one that was not read from the secret store yet */
function sealedText(secret: Secret): string {
  if ('sealed' in secret) return secret.sealed;
  throw new SecretUnreadable('The secret was not read from the secret store');
}

/** The place of a secret in the secret store, if it comes from there. */
function originOf({ from }: Secret): Pick<Secret, 'from'> {
  return from === undefined ? {} : { from };
}

/** Positions in lists do not count, so that a secret can move up while another one is rotated in. */
function placeOf(document: Document, path: readonly string[]): SecretPlace {
  const field = path.filter((key) => !/^\d+$/.test(key)).join('.');
  return { tenant: tenantOf(document), kind: document.kind, name: document.metadata.name, field };
}
