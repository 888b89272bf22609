import { X509Certificate } from 'node:crypto';
import { SecretInvalid, SignatureMalformed } from './signature.errors.js';
import { fromBase64 } from './signed-envelope.js';

/** The largest number of certificates between the provider's and the root. */
const maxIntermediates = 4;

/** The certificates of one secret. */
export interface TrustedCertificates {
  /** Self-signed: the ends of chains. */
  readonly roots: readonly X509Certificate[];
  /** The provider's certificate, if requests do not carry it, and intermediate ones. */
  readonly others: readonly X509Certificate[];
}

const pemCertificate = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** The certificates in PEM, as DER. Line breaks may be missing, since a header has none. */
function derOfPem(text: string): Buffer[] {
  return Array.from(text.matchAll(pemCertificate), ([, base64]) => Buffer.from(base64!, 'base64'));
}

/**
 * The certificates in a secret.
 * @param needsChain true if requests do not carry the provider's certificate, which then has to stand in the secret
 * @param field the field of the document that an error names
 * @throws SecretInvalid
 */
export function trustedCertificates(secret: string, needsChain: boolean, field: string): TrustedCertificates {
  const expected = needsChain ? 'PEM with the chain of the provider and its root certificate' : 'PEM with root certificates';
  const certificates = certificatesIn(derOfPem(secret));
  const roots = certificates?.filter(isSelfSigned) ?? [];
  const others = certificates?.filter((certificate) => !roots.includes(certificate)) ?? [];
  if (roots.length === 0 || (needsChain && others.length === 0)) throw new SecretInvalid(field, expected);
  return { roots, others };
}

/**
 * The certificates in a header: PEM, percent-encoded or not, or DER in base64 with commas between, which may stand between colons (RFC 9440).
 * @throws SignatureMalformed
 */
export function parsedChain(text: string, header: string): readonly X509Certificate[] {
  const decoded = text.includes('%') ? percentDecoded(text) : text;
  const parts = decoded.includes('-----')
    ? derOfPem(decoded)
    : decoded.split(',').map((part) => fromBase64(part.trim().replace(/^:(.*):$/, '$1')));
  const chain = parts.length > maxIntermediates + 2 ? undefined : certificatesIn(parts);
  if (chain === undefined || chain.length === 0)
    throw new SignatureMalformed(`The header ${header.toLowerCase()} is not a chain of certificates`);
  return chain;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

/** Undefined if one of them is not a certificate. */
function certificatesIn(ders: readonly (Buffer | null)[]): X509Certificate[] | undefined {
  try {
    return ders.map((der) => new X509Certificate(der!));
  } catch {
    return undefined;
  }
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}

/** True if each certificate is valid now and issued by the next one, up to one of the roots. */
export function leadsToRoot(
  signer: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): boolean {
  let current = signer;
  for (let depth = 0; depth <= maxIntermediates; depth += 1) {
    if (!isValidAt(current, nowMs)) return false;
    if (roots.some((root) => isValidAt(root, nowMs) && isIssuerOf(root, current))) return true;
    const issuer = intermediates.find((candidate) => candidate !== current && isIssuerOf(candidate, current));
    if (issuer === undefined) return false;
    current = issuer;
  }
  return false;
}

/** For each certificate, the results of {@link isIssuerOf}. They never change, and each costs as much as verifying the signature of a request. */
const issuerChecks = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>();

/** True if the issuer is an authority and has signed the certificate. Says nothing about the time. */
function isIssuerOf(issuer: X509Certificate, certificate: X509Certificate): boolean {
  const checks = issuerChecks.get(certificate) ?? new WeakMap<X509Certificate, boolean>();
  issuerChecks.set(certificate, checks);
  const isIssuer = checks.get(issuer) ?? (issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
  checks.set(issuer, isIssuer);
  return isIssuer;
}

function isValidAt({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime();
}
