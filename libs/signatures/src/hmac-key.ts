import { hash } from 'node:crypto';
import { SecretInvalid } from './signature.errors.js';

/** Block and digest sizes in bytes, by FIPS 180-4. */
const hashSizes = { sha1: [64, 20], sha256: [64, 32], sha512: [128, 64] } as const;
export type HashName = keyof typeof hashSizes;

/**
 * An HMAC key (RFC 2104) that keeps its two padded forms. Two one-shot hashes over them take about half the time of `createHmac`, which
 * allocates an object for every message.
 */
export class HmacKey {
  readonly blockBytes: number;
  readonly digestBytes: number;
  private readonly hash: HashName;
  private readonly inner: Buffer;
  /** The outer pad, followed by free bytes for the inner digest. */
  private readonly outer: Buffer;

  constructor(hashName: HashName, key: Buffer) {
    [this.blockBytes, this.digestBytes] = hashSizes[hashName];
    this.hash = hashName;
    const block = Buffer.alloc(this.blockBytes);
    block.set(key.length > this.blockBytes ? hash(hashName, key, 'buffer') : key);
    this.inner = Buffer.from(block.map((byte) => byte ^ 0x36));
    this.outer = Buffer.alloc(this.blockBytes + this.digestBytes);
    this.outer.set(block.map((byte) => byte ^ 0x5c));
  }

  /** The parts one after the other, as `sign` takes them. Texts are UTF-8. */
  messageOf(...parts: (string | Buffer)[]): Buffer {
    const lengths = parts.map((part) => Buffer.byteLength(part));
    const message = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + length, this.blockBytes));
    let at = this.blockBytes;
    for (const [index, part] of parts.entries()) {
      if (typeof part === 'string') message.write(part, at);
      else message.set(part, at);
      at += lengths[index]!;
    }
    return message;
  }

  /** @param message `blockBytes` free bytes, which are overwritten, and then the text to sign */
  sign(message: Buffer): Buffer {
    message.set(this.inner);
    // As text with one character per byte (`binary` is `latin1`), because a digest in a new Buffer costs as much as the hash itself.
    this.outer.write(hash(this.hash, message, 'binary'), this.blockBytes, 'latin1');
    return Buffer.from(hash(this.hash, this.outer, 'binary'), 'latin1');
  }
}

/**
 * The bytes of a key.
 * @param field the field of the document that an error names
 * @throws SecretInvalid
 */
export function hmacKeyBytes(secret: string, form: 'utf8' | 'hex' | 'base64' | 'whsec', field: string): Buffer {
  if (form === 'utf8') return Buffer.from(secret, 'utf8');
  if (form === 'hex') {
    if (!/^(?:[0-9a-f]{2})+$/i.test(secret)) throw new SecretInvalid(field, 'hexadecimal');
    return Buffer.from(secret, 'hex');
  }
  const text = form === 'whsec' && secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : secret;
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text) || text === '') {
    throw new SecretInvalid(field, form === 'whsec' ? 'whsec_ followed by base64' : 'base64');
  }
  return Buffer.from(text, 'base64');
}
