import { hash } from 'node:crypto';

/** Block and digest sizes in bytes, by FIPS 180-4. */
const sizes = { sha1: [64, 20], sha256: [64, 32], sha512: [128, 64] } as const;
export type HashName = keyof typeof sizes;

/**
 * An HMAC key (RFC 2104) with its two padded forms made in advance. Two one-shot hashes over them take about half the time
 * of `createHmac`, which makes an object for every message.
 */
export class HmacKey {
  readonly blockBytes: number;
  readonly digestBytes: number;
  private readonly hash: HashName;
  private readonly inner: Buffer;
  /** The outer pad, with room after it for the inner digest. */
  private readonly outer: Buffer;

  constructor(hashName: HashName, key: Buffer) {
    [this.blockBytes, this.digestBytes] = sizes[hashName];
    this.hash = hashName;
    const block = Buffer.alloc(this.blockBytes);
    block.set(key.length > this.blockBytes ? hash(hashName, key, 'buffer') : key);
    this.inner = Buffer.from(block.map((byte) => byte ^ 0x36));
    this.outer = Buffer.alloc(this.blockBytes + this.digestBytes);
    this.outer.set(block.map((byte) => byte ^ 0x5c));
  }

  /** @param message begins with `blockBytes` bytes of room, which are overwritten; the text to sign stands after them */
  sign(message: Buffer): Buffer {
    message.set(this.inner);
    // As text with one character a byte (`binary`, which is `latin1`): a digest as a Buffer of its own costs as much again as the hash.
    this.outer.write(hash(this.hash, message, 'binary'), this.blockBytes, 'latin1');
    return Buffer.from(hash(this.hash, this.outer, 'binary'), 'latin1');
  }
}
