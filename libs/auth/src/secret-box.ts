import type { Secret } from '#libs/contracts';
import { createCipheriv, createDecipheriv, createHmac, hash, hkdfSync, randomBytes } from 'node:crypto';

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

const format = 'v1';
const nonceBytes = 12;
const tagBytes = 16;

interface Key {
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Encrypts secrets at rest with AES-256-GCM. The sealed text, `v1.<key id>.<nonce, tag and ciphertext in base64url>`, names its key. To rotate,
 * put a new key first and keep the old ones after it until every secret was sealed again.
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

  /** Seals a secret. The text differs on every call; the fingerprint stays the same under the same key. */
  seal(plain: string): SealedSecret {
    const nonce = randomBytes(nonceBytes);
    const head = `${format}.${this.current.id}`;
    const cipher = createCipheriv('aes-256-gcm', this.current.bytes, nonce).setAAD(Buffer.from(head));
    const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    const body = Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]).toString('base64url');
    return { sealed: `${head}.${body}`, fingerprint: createHmac('sha256', this.fingerprintKey).update(plain).digest('hex').slice(0, 16) };
  }

  /**
   * The text of a secret in either form.
   * @throws SecretUnreadable as {@link open}
   */
  clearText(secret: Secret): string {
    return 'value' in secret ? secret.value : this.open(secret.sealed);
  }

  /** @throws SecretUnreadable where the key is missing, or the text was altered */
  open(sealed: string): string {
    const [version, keyId = '', body = ''] = sealed.split('.');
    if (version !== format)
      throw new SecretUnreadable(`A sealed secret starts with ${format}. and this one does not; set the secret again.`);
    const key = this.keys.get(keyId);
    if (key === undefined) {
      throw new SecretUnreadable(
        `A secret was sealed with the key ${keyId}, which this process does not have. Add it to the previous keys, or set the secret again.`,
      );
    }
    const bytes = Buffer.from(body, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(`${version}.${keyId}`)).setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      return decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8');
    } catch (cause) {
      throw new SecretUnreadable(`A secret sealed with the key ${keyId} was altered or cut off; set the secret again.`, { cause });
    }
  }
}

function keyOf(bytes: Buffer): Key {
  if (bytes.length !== 32) throw new Error(`A key for secrets must be 32 bytes long; it has ${bytes.length}`);
  return { id: hash('sha256', Buffer.concat([Buffer.from('millrace key id'), bytes]), 'hex').slice(0, 8), bytes };
}
