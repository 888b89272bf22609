import { hash, randomBytes } from 'node:crypto';
import type { Scope } from '#libs/contracts';

/** The public facts of a key: everything but its secret. */
export interface StoredApiKey {
  readonly id: string;
  readonly tenant: string;
  /** The owner's description of its purpose. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

/** The facts that a presented key is checked against. */
export interface CheckableApiKey extends Omit<StoredApiKey, 'name' | 'createdAt' | 'createdBy'> {
  readonly secretHash: Buffer;
}

export interface IssuedApiKey {
  /** The whole key. Shown to its owner once, and not kept. */
  readonly key: string;
  readonly id: string;
  readonly secretHash: Buffer;
}

const pattern = /^mr_([a-z0-9]{1,16})_([0-9a-f]{16})_([0-9a-f]{48})$/;

/**
 * A new random key, `mr_<environment>_<id>_<secret>`. The prefix lets secret scanners find a leaked one, the id lets us find it without a search
 * by secret.
 * @param environment such as `live` or `test`: what a person sees at a glance
 */
export function issueApiKey(environment: string): IssuedApiKey {
  const id = randomBytes(8).toString('hex');
  const secret = randomBytes(24).toString('hex');
  const key = `mr_${environment}_${id}_${secret}`;
  if (!pattern.test(key))
    throw new Error(`The environment of an API key must be 1 to 16 lower-case letters or digits; it is '${environment}'`);
  return { key, id, secretHash: hashOfSecret(secret) };
}

/** Returns null if the text is not an API key. */
export function parseApiKey(text: string): { environment: string; id: string; secret: string } | null {
  const [, environment, id, secret] = pattern.exec(text) ?? [];
  return environment === undefined || id === undefined || secret === undefined ? null : { environment, id, secret };
}

/** A plain hash is enough, because 192 random bits cannot be guessed. */
export function hashOfSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer');
}
