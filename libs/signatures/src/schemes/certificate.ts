import { X509Certificate, verify } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import { describeSigned } from '../describe-signed.js';
import { headerNames, requiredHeader } from '../request.js';
import type { HeaderNames, VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SecretInvalid, SignatureMalformed, SignatureMismatch } from '../signature.errors.js';
import { SignedEnvelope, fromBase64 } from '../signed-envelope.js';

type CertificateScheme = SignatureSchemeOf<'certificate'>;

/** The largest number of certificates between the provider's and the root. */
const maxIntermediates = 4;

export const certificateVerifier: SchemeVerifier<CertificateScheme> = {
  create: (scheme, options) => new CertificateVerifier(scheme, options),
  describe: (scheme) =>
    `${describeSigned(scheme, `RSA or ECDSA with ${scheme.hash.toUpperCase().replace('SHA', 'SHA-')}`)}, by the certificate of ${hostsOf(
      scheme,
    )
      .map((host) => `\`${host}\``)
      .join(' or ')}` +
    `${scheme.chainHeader === undefined ? '' : ` in \`${scheme.chainHeader}\``}; the secret is PEM with the trusted roots`,
};

/**
 * Verifies a signature with the key of a certificate, and the chain from that certificate to a root in the source's secrets. Names, validity,
 * issuers and CA flags are checked. Revocation and name constraints are not: the operator chooses roots whose issuers can be trusted.
 */
class CertificateVerifier implements Verifier {
  private readonly envelope: SignedEnvelope;
  private readonly chainHeader: HeaderNames | undefined;
  private readonly trusted: readonly TrustedCertificates[];
  /** The chain of the last request that was accepted. Providers use one certificate for months, and a chain costs more than a signature. */
  private latest: { readonly text: string; readonly chain: readonly X509Certificate[] } | undefined;

  constructor(
    private readonly scheme: CertificateScheme,
    { secrets, aliases = {}, publicUrl, parameters }: VerifierOptions,
  ) {
    this.envelope = new SignedEnvelope(scheme, { aliases, publicUrl, parameters });
    this.chainHeader = scheme.chainHeader === undefined ? undefined : headerNames(scheme.chainHeader, aliases);
    this.trusted = secrets.map((secret, at) => trustedCertificates(secret, scheme, `spec.secrets.${at}`));
  }

  verify(request: VerifiableRequest, nowMs: number): void {
    const opened = this.envelope.open(request);
    const text = this.chainHeader === undefined ? undefined : requiredHeader(request, this.chainHeader);
    const sent = text === undefined ? undefined : this.sentChain(text);
    const isSigned = this.trusted.some(({ roots, others }) => {
      const [signer, ...intermediates] = sent === undefined ? others : [...sent, ...others];
      return (
        hostsOf(this.scheme).some((host) => signer!.checkHost(host) !== undefined) &&
        leadsToRoot(signer!, intermediates, roots, nowMs) &&
        opened.signatures.some((signature) => isSignatureOf(signer!, this.scheme.hash, opened.message, signature))
      );
    });
    if (!isSigned) throw new SignatureMismatch();
    if (text !== undefined && sent !== undefined && this.latest?.text !== text) this.latest = { text, chain: sent };
    this.envelope.refuseOutOfTime(opened, request, nowMs);
  }

  private sentChain(text: string): readonly X509Certificate[] {
    return this.latest?.text === text ? this.latest.chain : parsedChain(text, this.scheme.chainHeader!);
  }
}

function hostsOf({ host }: CertificateScheme): readonly string[] {
  return typeof host === 'string' ? [host] : host;
}

/** The certificates of one secret. */
interface TrustedCertificates {
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

/** @throws SecretInvalid */
function trustedCertificates(secret: string, { chainHeader }: CertificateScheme, field: string): TrustedCertificates {
  const expected = chainHeader === undefined ? 'PEM with the chain of the provider and its root certificate' : 'PEM with root certificates';
  const certificates = certificatesIn(derOfPem(secret));
  const roots = certificates?.filter(isSelfSigned) ?? [];
  const others = certificates?.filter((certificate) => !roots.includes(certificate)) ?? [];
  if (roots.length === 0 || (chainHeader === undefined && others.length === 0)) throw new SecretInvalid(field, expected);
  return { roots, others };
}

/** @throws SignatureMalformed */
function parsedChain(text: string, header: string): readonly X509Certificate[] {
  const decoded = text.includes('%') ? percentDecoded(text) : text;
  const parts = decoded.includes('-----') ? derOfPem(decoded) : decoded.split(',').map((part) => fromBase64(part.trim()));
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

function leadsToRoot(
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

function isSignatureOf({ publicKey }: X509Certificate, hash: CertificateScheme['hash'], message: Buffer, signature: Buffer): boolean {
  const type = publicKey.asymmetricKeyType;
  return (type === 'rsa' || type === 'ec') && verify(hash, message, publicKey, signature);
}
