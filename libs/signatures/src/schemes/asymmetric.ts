import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import { describeSigned } from '../describe-signed.js';
import type { VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SecretInvalid, mismatchOf } from '../signature.errors.js';
import type { SignatureMismatch } from '../signature.errors.js';
import { SignedEnvelope, fromBase64, fromHex } from '../signed-envelope.js';

type AsymmetricScheme = SignatureSchemeOf<'asymmetric'>;

interface Algorithm {
  readonly title: string;
  /** The digest that `node:crypto` makes first; null: the algorithm hashes by itself. */
  readonly digest: 'sha256' | null;
  readonly fits: (key: KeyObject) => boolean;
}

const algorithms: Readonly<Record<AsymmetricScheme['algorithm'], Algorithm>> = {
  ed25519: { title: 'ed25519', digest: null, fits: (key) => key.asymmetricKeyType === 'ed25519' },
  'ecdsa-p256-sha256': {
    title: 'ECDSA P-256 with SHA-256',
    digest: 'sha256',
    fits: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  },
  'rsa-sha256': {
    title: 'RSA with SHA-256',
    digest: 'sha256',
    fits: (key) => key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2_048,
  },
};

export const asymmetricVerifier: SchemeVerifier<AsymmetricScheme> = {
  create: (scheme, options) => new AsymmetricVerifier(scheme, options),
  describe: (scheme) => `${describeSigned(scheme, algorithms[scheme.algorithm].title)}; the secret is the provider’s public key`,
};

class AsymmetricVerifier implements Verifier {
  private readonly digest: Algorithm['digest'];
  private readonly keys: readonly { readonly key: KeyObject; readonly dsaEncoding: AsymmetricScheme['ecdsaForm'] }[];
  private readonly envelope: SignedEnvelope;
  private readonly mismatch: () => SignatureMismatch;

  constructor(scheme: AsymmetricScheme, { secrets, aliases, publicUrl, parameters }: VerifierOptions) {
    this.digest = algorithms[scheme.algorithm].digest;
    this.keys = secrets.map((secret, at) => ({ key: publicKey(secret, scheme, `spec.secrets.${at}`), dsaEncoding: scheme.ecdsaForm }));
    this.mismatch = () => mismatchOf(scheme);
    this.envelope = new SignedEnvelope(scheme, { aliases, publicUrl, parameters, signatureBytes: signatureBytes(scheme) });
  }

  verify(request: VerifiableRequest, nowMs: number): void {
    const opened = this.envelope.open(request);
    const isSigned = this.keys.some((key) => opened.signatures.some((signature) => verify(this.digest, opened.message, key, signature)));
    if (!isSigned) throw this.mismatch();
    this.envelope.refuseOutOfTime(opened, request, nowMs);
  }
}

/** Undefined if the length depends on the key or the signature. */
function signatureBytes({ algorithm, ecdsaForm }: AsymmetricScheme): number | undefined {
  return algorithm === 'ed25519' || (algorithm === 'ecdsa-p256-sha256' && ecdsaForm === 'ieee-p1363') ? 64 : undefined;
}

/** @throws SecretInvalid */
function publicKey(secret: string, scheme: AsymmetricScheme, field: string): KeyObject {
  const { title, fits } = algorithms[scheme.algorithm];
  const key = parsedKey(secret, scheme.key);
  if (key === undefined || !fits(key)) throw new SecretInvalid(field, `a public key for ${title}, written as ${scheme.key}`);
  return key;
}

/** The DER of a SubjectPublicKeyInfo (RFC 8410) up to the 32 bytes of an ed25519 key. */
const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex');

function parsedKey(secret: string, form: AsymmetricScheme['key']): KeyObject | undefined {
  try {
    // `createPublicKey` would accept a private key or a certificate, too.
    if (form === 'pem') return /^\s*-----BEGIN PUBLIC KEY-----/.test(secret) ? createPublicKey(secret) : undefined;
    const text = form === 'whpk' && secret.startsWith('whpk_') ? secret.slice('whpk_'.length) : secret;
    const bytes = form === 'hex' ? fromHex(text) : fromBase64(text);
    if (bytes === null) return undefined;
    const der = bytes.length === 32 ? Buffer.concat([ed25519Prefix, bytes]) : bytes;
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch {
    return undefined; // not the syntax of a key
  }
}
