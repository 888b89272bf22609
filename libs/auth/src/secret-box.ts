import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto';

/** The one place at which a sealed secret can be opened. */
export interface SecretPlace {
  readonly tenant: string;
  /** The kind and name of the document. */
  readonly kind: string;
  readonly name: string;
  /** The field of the document, such as `spec.secret`. */
  readonly field: string;
}

/** A secret as it is stored. */
export interface SealedSecret {
  readonly sealed: string;
  /** Equal for equal secrets under one key. Reveals nothing without the key. */
  readonly fingerprint: string;
}

/** A sealed secret cannot be opened with the keys of this process. */
export class SecretUnreadable extends Error {
  override readonly name = 'SecretUnreadable';
}

/** A secret was sealed before secrets were bound to places. It is opened where the database has it, and not where somebody brings it. */
export class SecretUnbound extends SecretUnreadable {}

/** Secrets of the first format are bound to no place. They are opened, but never made. */
const [unboundFormat, format] = ['v1', 'v2'];
const nonceBytes = 12;
const tagBytes = 16;

interface Key {
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Encrypts secrets at rest with AES-256-GCM. The sealed text, `v2.<key id>.<nonce, tag and ciphertext in base64url>`, names its key, and the
 * place is authenticated with it, so a sealed secret is worthless in every other document, tenant or field. To rotate, put a new key first and
 * keep the old ones after it until every secret was sealed again.
 */
export class SecretBox {
  private readonly current: Key;
  private readonly keys: ReadonlyMap<string, Key>;
  private readonly fingerprintKey: Buffer;

  /** @throws Error where a key is not 32 bytes long */
  constructor(key: Buffer, ...previous: readonly Buffer[]) {
    const keys = [key, ...previous].map(keyOf);
    this.current = keys[0]!;
    this.keys = new Map(keys.map((one) => [one.id, one]));
    this.fingerprintKey = Buffer.from(hkdfSync('sha256', key, '', 'millrace secret fingerprint', 32));
  }

  /** Seals a secret for a place. The text differs on every call; the fingerprint stays the same under the same key at the same place. */
  seal(plain: string, place: SecretPlace): SealedSecret {
    const nonce = randomBytes(nonceBytes);
    const head = `${format}.${this.current.id}`;
    const cipher = createCipheriv('aes-256-gcm', this.current.bytes, nonce).setAAD(boundTo(head, place));
    const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    const body = Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64url');
    return { sealed: `${head}.${body}`, fingerprint: this.fingerprint(plain, place) };
  }

  fingerprint(plain: string, place: SecretPlace): string {
    return createHmac('sha256', this.fingerprintKey).update(boundTo(plain, place)).digest('hex').slice(0, 16);
  }

  /** True if {@link seal} would make a text of the same format under the same key. */
  isCurrent(sealed: string): boolean {
    return sealed.startsWith(`${format}.${this.current.id}.`);
  }

  /** @throws SecretUnreadable where the key is missing, or the text was altered or sealed for another place; SecretUnbound */
  open(sealed: string, place: SecretPlace): string {
    const [version, keyId = '', body = ''] = sealed.split('.');
    if (version === unboundFormat) throw new SecretUnbound(`A secret has the form ${version}, which is bound to no place; set it again.`);
    if (version !== format) throw new SecretUnreadable(`A sealed secret starts with ${format}. and this one does not; set it again.`);
    const reason = `does not belong to ${place.field} of ${place.kind}/${place.name} of ${place.tenant}, or was altered`;
    return this.decrypt(keyId, body, boundTo(`${version}.${keyId}`, place), reason);
  }

  /**
   * Opens a secret that the database has, whose place is known from its row. Opens secrets of the first format too.
   * @throws SecretUnreadable as {@link open}
   */
  openStored(sealed: string, place: SecretPlace): string {
    const [version, keyId = '', body = ''] = sealed.split('.');
    if (version !== unboundFormat) return this.open(sealed, place);
    return this.decrypt(keyId, body, Buffer.from(`${version}.${keyId}`), 'was altered');
  }

  private decrypt(keyId: string, body: string, bound: Buffer, reason: string): string {
    const key = this.keys.get(keyId);
    if (key === undefined) {
      throw new SecretUnreadable(
        `A secret was sealed with the key ${keyId}, which this process does not have. Add it to the previous keys, or set the secret again.`,
      );
    }
    const bytes = Buffer.from(body, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(bound).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
    } catch (cause) {
      throw new SecretUnreadable(`A secret sealed with the key ${keyId} ${reason}; set it again.`, { cause });
    }
  }
}

/** JSON, because no two places have the same. */
function boundTo(text: string, { tenant, kind, name, field }: SecretPlace): Buffer {
  return Buffer.from(JSON.stringify([text, tenant, kind, name, field]));
}

function keyOf(bytes: Buffer): Key {
  if (bytes.length !== 32) throw new Error(`A key for secrets must be 32 bytes long; it has ${bytes.length}`);
  return { id: hash('sha256', Buffer.concat([Buffer.from('millrace key id'), bytes]), 'hex').slice(0, 8), bytes };
}
