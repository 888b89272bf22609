import type { X509Certificate } from 'node:crypto';
import type { SignatureSchemeOf } from '#libs/contracts';
import { leadsToRoot, parsedChain, trustedCertificates } from '../certificate-chain.js';
import type { TrustedCertificates } from '../certificate-chain.js';
import { headerNames, headerValue } from '../request.js';
import type { HeaderNames, VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SignatureMismatch, SignatureMissing } from '../signature.errors.js';

type ClientCertificateScheme = SignatureSchemeOf<'client-certificate'>;

/** The purpose "TLS client" of a certificate (RFC 5280 §4.2.1.12). */
const clientPurpose = '1.3.6.1.5.5.7.3.2';

export const clientCertificateVerifier: SchemeVerifier<ClientCertificateScheme> = {
  create: (scheme, options) => new ClientCertificateVerifier(scheme, options),
  describe: ({ header, subjects }) =>
    `client certificate for ${subjects.map((name) => `\`${name}\``).join(' or ')}, which a trusted proxy puts into \`${header}\`; the secret is PEM with the trusted roots`,
};

/**
 * Verifies the client certificate of a connection that a proxy has ended. The proxy has seen that the caller has its key; who issued it and for whom is
 * checked here, so that sources can differ in it. Revocation is not checked.
 */
class ClientCertificateVerifier implements Verifier {
  private readonly header: HeaderNames;
  private readonly trusted: readonly TrustedCertificates[];

  constructor(
    private readonly scheme: ClientCertificateScheme,
    { secrets, aliases = {} }: VerifierOptions,
  ) {
    this.header = headerNames(scheme.header, aliases);
    this.trusted = secrets.map((secret, at) => trustedCertificates(secret, false, `spec.secrets.${at}`));
  }

  verify(request: VerifiableRequest, nowMs: number): void {
    if (request.isProxied !== true)
      throw new SignatureMismatch('The request does not come through a proxy that is trusted to name a certificate');
    const text = headerValue(request, this.header);
    if (text === undefined) throw new SignatureMissing(`header ${this.header[0]}`);
    const [certificate, ...sent] = parsedChain(text, this.header[0]);
    const isTrusted =
      this.scheme.subjects.some((name) => isFor(certificate!, name)) &&
      (certificate!.keyUsage ?? [clientPurpose]).includes(clientPurpose) &&
      this.trusted.some(({ roots, others }) => leadsToRoot(certificate!, [...sent, ...others], roots, nowMs));
    if (!isTrusted) throw new SignatureMismatch('The certificate is not one that this source trusts');
  }
}

function isFor(certificate: X509Certificate, name: string): boolean {
  if (certificate.checkHost(name, { subject: 'never' }) !== undefined) return true;
  return certificate.subject.split('\n').includes(`CN=${name}`);
}
