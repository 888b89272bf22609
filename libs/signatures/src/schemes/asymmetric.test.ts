import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { signatureScheme } from '#libs/contracts';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVerifier } from '../create-verifier.js';
import { SecretInvalid, SignatureExpired, SignatureMalformed, SignatureMismatch } from '../signature.errors.js';
import { refuseNoise, acceptedTampering, asReceived } from '../tampering.js';
import type { PlainRequest } from '../tampering.js';

const nowMs = 1_750_000_000_000;
const body = '{"amount":100}';
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }).toString();

interface Case {
  publicKey: KeyObject;
  signature: (text: string) => Buffer;
  options?: object;
}

function ofKeys(digest: string | null, { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Case {
  return { publicKey, signature: (text) => sign(digest, Buffer.from(text), privateKey) };
}
const p1363Keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const cases: Record<string, Case & { algorithm: string }> = {
  ed25519: { algorithm: 'ed25519', ...ofKeys(null, generateKeyPairSync('ed25519')) },
  'ECDSA P-256': { algorithm: 'ecdsa-p256-sha256', ...ofKeys('sha256', generateKeyPairSync('ec', { namedCurve: 'P-256' })) },
  'ECDSA P-256 as two numbers': {
    algorithm: 'ecdsa-p256-sha256',
    publicKey: p1363Keys.publicKey,
    signature: (text) => sign('sha256', Buffer.from(text), { key: p1363Keys.privateKey, dsaEncoding: 'ieee-p1363' }),
    options: { ecdsaForm: 'ieee-p1363' },
  },
  'RSA-SHA256': { algorithm: 'rsa-sha256', ...ofKeys('sha256', generateKeyPairSync('rsa', { modulusLength: 2_048 })) },
};

describe.each(Object.entries(cases))('%s', (_, { algorithm, publicKey, signature, options }) => {
  const scheme = signatureScheme.parse({
    kind: 'asymmetric',
    algorithm,
    header: 'X-Sig',
    encoding: 'base64',
    timestampHeader: 'X-Time',
    template: '{timestamp}{body}',
    ...options,
  });
  const verifier = createVerifier(scheme, [pem(publicKey)]);
  const signed = (at = nowMs): PlainRequest => {
    const timestamp = String(at / 1_000);
    return { headers: { 'x-sig': signature(timestamp + body).toString('base64'), 'x-time': timestamp }, body };
  };

  test('a signature of the provider’s key is accepted, and of any active one', () => {
    expect(() => verifier.verify(asReceived(signed()), nowMs)).not.toThrow();
    const other = Object.values(cases).find((one) => one.algorithm === algorithm && one.publicKey !== publicKey);
    if (other !== undefined) {
      const both = createVerifier(scheme, [pem(other.publicKey), pem(publicKey)]);
      expect(() => both.verify(asReceived(signed()), nowMs)).not.toThrow();
      expect(() => createVerifier(scheme, [pem(other.publicKey)]).verify(asReceived(signed()), nowMs)).toThrow(SignatureMismatch);
    }
  });

  test('with any byte flipped it is refused', () => {
    expect(acceptedTampering(verifier, signed(), nowMs)).toEqual([]);
  });

  test('replayed after the tolerance it is refused', () => {
    expect(() => verifier.verify(asReceived(signed(nowMs - 301_000)), nowMs)).toThrow(SignatureExpired);
    expect(() => verifier.verify(asReceived(signed(nowMs + 301_000)), nowMs)).toThrow(SignatureExpired);
  });

  test('another body is refused under the same signature', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        fc.pre(Buffer.from(bytes).toString('latin1') !== body);
        expect(() => verifier.verify(asReceived({ ...signed(), body: Buffer.from(bytes) }), nowMs)).toThrow(SignatureMismatch);
      }),
      { numRuns: 50 },
    );
  });

  test('no made-up signature is accepted, and none fails in another way', () => {
    refuseNoise(fc, verifier, signed(), nowMs, { base64: 'x-sig' });
  });

  test('a key of another algorithm, a private key and other text are refused as secrets', () => {
    const others = Object.values(cases).filter((one) => one.algorithm !== algorithm);
    const { privateKey } = generateKeyPairSync('ed25519');
    const secrets = [...others.map((one) => pem(one.publicKey)), privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'x', ''];
    for (const secret of secrets) expect(() => createVerifier(scheme, [secret])).toThrow(SecretInvalid);
  });
});

test('an RSA key of less than 2048 bits is refused as a secret', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
  const scheme = signatureScheme.parse({ kind: 'asymmetric', algorithm: 'rsa-sha256', header: 'x-sig' });
  expect(() => createVerifier(scheme, [pem(publicKey)])).toThrow(SecretInvalid);
});

describe('the vector of Standard Webhooks v1a', () => {
  const scheme = signatureScheme.parse({
    kind: 'asymmetric',
    algorithm: 'ed25519',
    key: 'whpk',
    header: 'webhook-signature',
    encoding: 'base64',
    list: { separator: ' ', keyValue: ',', signature: 'v1a' },
    timestampHeader: 'webhook-timestamp',
    idHeader: 'webhook-id',
    template: '{id}.{timestamp}.{body}',
  });
  const headers = {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==',
  };
  const request = { headers, body: '{"test": 2432232314}' };
  const key = '1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=';

  test.each([
    ['whpk', `whpk_${key}`],
    ['base64', key],
    ['hex', Buffer.from(key, 'base64').toString('hex')],
  ] as const)('verifies with the key as %s', (form, secret) => {
    const verifier = createVerifier({ ...(scheme as { kind: 'asymmetric' }), key: form } as typeof scheme, [secret]);
    expect(() => verifier.verify(asReceived(request), 1_614_265_330_000)).not.toThrow();
  });

  test('is refused with another length', () => {
    const short = { ...headers, 'webhook-signature': 'v1a,aGVsbG8=' };
    const verifier = createVerifier(scheme, [`whpk_${key}`]);
    expect(() => verifier.verify(asReceived({ ...request, headers: short }), 1_614_265_330_000)).toThrow(SignatureMalformed);
    expect(() => verifier.verify(asReceived({ ...request, headers: short }), 1_614_265_330_000)).toThrow('is not 64 bytes of base64');
  });
});
