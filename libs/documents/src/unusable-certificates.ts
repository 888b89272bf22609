import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { AuthOf, ConnectionAuth, Document } from '#libs/contracts';
import { latencyMs, wallTimeMs } from '#libs/time';
import type { DocumentProblem } from './document-problem.js';

const unreadableKey = 'cannot be read as a private key in PEM without a passphrase';
const noticeMs = 14 * 86_400_000;
const certificateField = ['spec', 'auth', 'certificate'];

/** Problems of a client certificate and its key. A key that is still sealed is not looked at. */
export function unusableCertificates({ certificate, key, ca }: AuthOf<'mtls'>): DocumentProblem[] {
  const own = certificateOf(certificate);
  const problems = own === undefined ? [{ path: certificateField, message: 'cannot be read as a certificate in PEM' }] : [];
  if (ca !== undefined && certificateOf(ca) === undefined) {
    problems.push({ path: ['spec', 'auth', 'ca'], message: 'cannot be read as a certificate in PEM' });
  }
  if (!('value' in key)) return problems;
  const path = ['spec', 'auth', 'key'];
  const opened = keyOf(key.value);
  if (opened === undefined) return [...problems, { path, message: unreadableKey }];
  if (own?.checkPrivateKey(opened) === false) problems.push({ path, message: 'does not belong to the certificate' });
  return problems;
}

/** Problems of the key that signs the statements of a JWT bearer grant. One that is still sealed is not looked at. */
export function unusableAssertionKeys(auth: ConnectionAuth, at: readonly string[]): DocumentProblem[] {
  if (auth.kind !== 'oauth2' || auth.grant !== 'jwtBearer' || !('value' in auth.jwt.privateKey)) return [];
  const path = [...at, 'jwt', 'privateKey'];
  const key = keyOf(auth.jwt.privateKey.value);
  if (key === undefined) return [{ path, message: unreadableKey }];
  const type = auth.jwt.algorithm === 'ES256' ? 'ec' : 'rsa';
  return key.asymmetricKeyType === type ? [] : [{ path, message: `must be a key of the type ${type} for ${auth.jwt.algorithm}` }];
}

/** Doubts about a client certificate that has ended, or ends within two weeks. */
export function endedCertificates(document: Document): DocumentProblem[] {
  if (document.kind !== 'Connection' || document.spec.auth.kind !== 'mtls') return [];
  const ends = certificateOf(document.spec.auth.certificate)?.validToDate;
  if (ends === undefined) return [];
  const leftMs = latencyMs(wallTimeMs(), ends.getTime());
  if (leftMs > noticeMs) return [];
  const when = leftMs === 0 ? 'ended' : 'ends';
  return [{ path: certificateField, message: `${when} at ${ends.toISOString()}, and the system refuses it from then on` }];
}

function certificateOf(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function keyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
