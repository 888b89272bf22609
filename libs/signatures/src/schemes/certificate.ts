import { verify } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import { leadsToRoot, parsedChain, trustedCertificates } from '../certificate-chain.js';
import type { TrustedCertificates } from '../certificate-chain.js';
import { describeSigned } from '../describe-signed.js';
import { headerNames, requiredHeader } from '../request.js';
import type { HeaderNames, VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SignatureMismatch } from '../signature.errors.js';
import { SignedEnvelope } from '../signed-envelope.js';

type CertificateScheme = SignatureSchemeOf<'certificate'>;

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
    this.trusted = secrets.map((secret, at) => trustedCertificates(secret, scheme.chainHeader === undefined, `spec.secrets.${at}`));
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

function isSignatureOf({ publicKey }: X509Certificate, hash: CertificateScheme['hash'], message: Buffer, signature: Buffer): boolean {
  const type = publicKey.asymmetricKeyType;
  return (type === 'rsa' || type === 'ec') && verify(hash, message, publicKey, signature);
}
