import { constants, createPrivateKey, randomUUID, sign } from 'node:crypto';
import { clearText } from '#libs/contracts';
import type { OAuth } from './token-answer.js';

type JwtBearer = Extract<OAuth, { grant: 'jwtBearer' }>;

/** The signed statement of the grant of RFC 7523. */
export function assertionOf({ jwt, clientId, scopes }: JwtBearer, tokenEndpoint: string, nowMs: number): string {
  const issuedAt = Math.floor(nowMs / 1_000);
  const header = { alg: jwt.algorithm, typ: 'JWT', ...(jwt.keyId === undefined ? {} : { kid: jwt.keyId }) };
  const claims = {
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...jwt.claims,
    iss: jwt.issuer ?? clientId,
    sub: jwt.subject,
    aud: jwt.audience ?? tokenEndpoint,
    iat: issuedAt,
    exp: issuedAt + jwt.lifetimeSeconds,
    jti: randomUUID(),
  };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  return `${signed}.${signatureOf(signed, jwt).toString('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function signatureOf(text: string, { algorithm, privateKey }: JwtBearer['jwt']): Buffer {
  const key = createPrivateKey(clearText(privateKey));
  const data = Buffer.from(text);
  if (algorithm === 'ES256') return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
  if (algorithm === 'RS256') return sign('sha256', data, key);
  return sign('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
}
