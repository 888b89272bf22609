import { createHmac } from 'node:crypto';
import { DomainError, signatureScheme } from '#libs/contracts';
import type { SignatureSchemeOf } from '#libs/contracts';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createVerifier } from '../create-verifier.js';
import { SecretInvalid, SignatureExpired, SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { acceptedTampering, asReceived } from '../tampering.js';
import type { PlainRequest } from '../tampering.js';

const nowMs = 1_750_000_000_000;
const nowSeconds = nowMs / 1_000;
const secret = 'a shared secret';
const mac = (text: string | Buffer, key: string | Buffer = secret, algorithm = 'sha256') => createHmac(algorithm, key).update(text);

/** A provider made up so that everything is signed: id, timestamp and body, with several signatures in one header. */
const scheme = signatureScheme.parse({
  header: 'X-Acme-Signature',
  list: { separator: ';', keyValue: ':', signature: 's1', timestamp: 'at' },
  idHeader: 'X-Acme-Id',
  template: 'acme/{id}/{timestamp}/{body}/end',
});
const sign = (body: string | Buffer, { at = String(nowSeconds), id = 'm-1', key = secret } = {}): PlainRequest => ({
  headers: {
    'x-acme-signature': `at:${at};s1:${mac(Buffer.concat([Buffer.from(`acme/${id}/${at}/`), Buffer.from(body), Buffer.from('/end')]), key).digest('hex')}`,
    'x-acme-id': id,
  },
  body,
});
const check = (request: PlainRequest, secrets = [secret], at = nowMs) => createVerifier(scheme, secrets).verify(asReceived(request), at);

describe('a signed request', () => {
  test('is accepted', () => {
    expect(() => check(sign('{"a":1}'))).not.toThrow();
  });

  test('may have any bytes as its body', () => {
    expect(() => check(sign(Buffer.from([0xff, 0x00, 0xfe])))).not.toThrow();
    expect(() => check(sign(''))).not.toThrow();
  });

  test('is accepted with any active secret, and with no other', () => {
    expect(() => check(sign('x', { key: 'older' }), [secret, 'older'])).not.toThrow();
    expect(() => check(sign('x', { key: 'oldest' }), [secret, 'older'])).toThrow(SignatureMismatch);
  });

  test('may carry several signatures, of which one matches, and entries of unknown versions', () => {
    const { headers, body } = sign('x');
    const other = mac('something else').digest('hex');
    const list = `s0:zz;at:${nowSeconds};s1:${other};${headers['x-acme-signature']!.split(';')[1]};novalue`;
    expect(() => check({ headers: { ...headers, 'x-acme-signature': list }, body })).not.toThrow();
  });

  test.each(['s1:', 's1:zz', `s1:${'00'.repeat(31)}`, `s1:${'00'.repeat(33)}`, `s1:${'0g'.repeat(32)}`])(
    'may carry the malformed entry %s beside a good one, but not alone',
    (malformed) => {
      const { headers, body } = sign('x');
      const [, good] = headers['x-acme-signature']!.split(';');
      for (const entries of [
        [malformed, good],
        [good, malformed],
      ]) {
        const list = [`at:${nowSeconds}`, ...entries].join(';');
        expect(() => check({ headers: { ...headers, 'x-acme-signature': list }, body })).not.toThrow();
      }
      expect(() => check({ headers: { ...headers, 'x-acme-signature': `at:${nowSeconds};${malformed}` }, body })).toThrow(
        SignatureMalformed,
      );
    },
  );

  test('is refused once any byte of it is flipped', () => {
    expect(acceptedTampering(createVerifier(scheme, [secret]), sign('{"amount":100}'), nowMs)).toEqual([]);
  });
});

describe('no alteration of a signed request is accepted', () => {
  const resolved = createVerifier(scheme, [secret]);

  test('of its body', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (signed, sent) => {
        fc.pre(!Buffer.from(signed).equals(Buffer.from(sent)));
        const request = asReceived({ ...sign(Buffer.from(signed)), body: Buffer.from(sent) });
        expect(() => resolved.verify(request, nowMs)).toThrow(SignatureMismatch);
      }),
    );
  });

  test('of its headers: replaced, cut, lengthened or joined', () => {
    const { headers, body } = sign('{"amount":100}');
    const header = fc.constantFrom(...Object.keys(headers));
    const piece = fc.string({ unit: 'binary-ascii', maxLength: 12 });
    fc.assert(
      fc.property(header, fc.nat(200), fc.nat(12), piece, (name, at, cut, inserted) => {
        const before = headers[name]!;
        const start = at % (before.length + 1);
        const altered = before.slice(0, start) + inserted + before.slice(start + cut);
        fc.pre(altered !== before && !isListWithSameEntries(altered, before));
        const request = asReceived({ headers: { ...headers, [name]: altered }, body });
        expect(() => resolved.verify(request, nowMs)).toThrow(DomainError);
      }),
      { numRuns: 2_000 },
    );
  });

  /** An entry of a version we do not speak changes nothing, by design, nor does one that is no signature. */
  function isListWithSameEntries(altered: string, before: string): boolean {
    const known = (list: string) => list.split(';').filter((entry) => /^(?:s1:[0-9a-f]{64}$|at:)/.test(entry));
    return known(altered).length >= 2 && known(altered).toSorted().join() === known(before).toSorted().join();
  }
});

describe('a signature is refused', () => {
  const altered = (name: string, value: string) => {
    const { headers, body } = sign('x');
    return () => check({ headers: { ...headers, [name]: value }, body });
  };

  test('when it is missing or empty', () => {
    expect(() => check({ headers: {}, body: 'x' })).toThrow(SignatureMissing);
    expect(altered('x-acme-signature', '')).toThrow(SignatureMissing);
  });

  test('when its header was sent twice, even with the same value', () => {
    const request = asReceived(sign('x'));
    for (const [name, again] of [
      ['x-acme-signature', 'X-Acme-Signature'],
      ['x-acme-id', 'X-Acme-Id'],
    ] as const) {
      const rawHeaders = [...request.rawHeaders, again, request.rawHeaders[request.rawHeaders.indexOf(name) + 1]!];
      expect(() => createVerifier(scheme, [secret]).verify({ ...request, rawHeaders }, nowMs)).toThrow(
        `The header ${name} was sent 2 times`,
      );
    }
  });

  test.each([
    ['no entry of our version', `at:${nowSeconds};s2:00`, 'has no entry s1'],
    ['no timestamp', `s1:${'0'.repeat(64)}`, 'has no entry at'],
    ['two timestamps', `at:${nowSeconds};at:${nowSeconds};s1:${'0'.repeat(64)}`, 'names two timestamps'],
    ['a timestamp with a sign', `at:-1;s1:${'0'.repeat(64)}`, 'not made of digits only'],
    ['a timestamp with a fraction', `at:1.5;s1:${'0'.repeat(64)}`, 'not made of digits only'],
    ['a signature that is too short', `at:${nowSeconds};s1:00`, 'is not 32 bytes of hex'],
    ['a signature with half a byte more', `at:${nowSeconds};s1:${'0'.repeat(65)}`, 'is not 32 bytes of hex'],
    ['a signature with a stray character', `at:${nowSeconds};s1:${'0'.repeat(63)}g`, 'is not 32 bytes of hex'],
  ])('with %s', (_, value, message) => {
    expect(altered('x-acme-signature', value)).toThrow(SignatureMalformed);
    expect(altered('x-acme-signature', value)).toThrow(message);
  });

  test('without the id it signs, or with one that could be cut elsewhere', () => {
    const { headers, body } = sign('x');
    expect(() => check({ headers: { 'x-acme-signature': headers['x-acme-signature']! }, body })).toThrow('The header x-acme-id is missing');
    expect(() => check(sign('x', { id: 'm/1' }))).toThrow('x-acme-id is not a message id');
    expect(() => check(sign('x', { id: 'm 1' }))).toThrow('x-acme-id is not a message id');
  });

  test('in words that give nothing of it away', () => {
    const { headers, body } = sign('x');
    const expected = headers['x-acme-signature']!.slice(-64);
    const wrong = 'ab'.repeat(32);
    const failure = catchFailure(() => check({ headers: { ...headers, 'x-acme-signature': `at:${nowSeconds};s1:${wrong}` }, body }));
    expect(failure.stack).not.toMatch(new RegExp(`${expected}|${wrong}|${secret}`));
  });
});

function catchFailure(work: () => unknown): Error {
  try {
    work();
  } catch (failure) {
    return failure as Error;
  }
  throw new Error('it did not fail');
}

describe('the time of a signature', () => {
  const signedAt = (ms: number) => sign('x', { at: String(ms / 1_000) });

  test('may be off by the tolerance, either way', () => {
    for (const off of [-300_000, 300_000]) expect(() => check(signedAt(nowMs + off))).not.toThrow();
    expect(() => check(signedAt(nowMs - 301_000))).toThrow('signed 301 s ago; 300 s are tolerated');
    expect(() => check(signedAt(nowMs + 301_000))).toThrow('signed 301 s in the future');
  });

  test('is judged only after the signature', () => {
    expect(() => check(sign('x', { at: '1', key: 'not ours' }))).toThrow(SignatureMismatch);
    expect(() => check(sign('x', { at: '1' }))).toThrow(SignatureExpired);
  });

  test('can be in milliseconds', () => {
    const inMs = createVerifier({ ...(scheme as SignatureSchemeOf<'hmac'>), timestampUnit: 'ms', toleranceSeconds: 1 }, [secret]);
    expect(() => inMs.verify(asReceived(sign('x', { at: String(nowMs - 900) })), nowMs)).not.toThrow();
    expect(() => inMs.verify(asReceived(sign('x', { at: String(nowMs - 1_100) })), nowMs)).toThrow(SignatureExpired);
  });
});

describe('a custom scheme', () => {
  const accepts = (input: object, value: string, body: string, key = secret) =>
    createVerifier(signatureScheme.parse({ header: 'x-sig', ...input }), [key]).verify(
      asReceived({ headers: { 'x-sig': value }, body }),
      nowMs,
    );

  test.each(['sha1', 'sha256', 'sha512'])('can be HMAC-%s, in hex of either case or in base64', (hash) => {
    const algorithm = `hmac-${hash}`;
    const hex = mac('body', secret, hash).digest('hex');
    expect(() => accepts({ algorithm }, hex, 'body')).not.toThrow();
    expect(() => accepts({ algorithm }, hex.toUpperCase(), 'body')).not.toThrow();
    expect(() => accepts({ algorithm, encoding: 'base64' }, mac('body', secret, hash).digest('base64'), 'body')).not.toThrow();
  });

  test('takes its key as text, hexadecimal, base64 or a whsec_ secret', () => {
    const key = Buffer.from('00ff10ab', 'hex');
    const value = mac('body', key).digest('hex');
    expect(() => accepts({ key: 'hex' }, value, 'body', '00ff10ab')).not.toThrow();
    expect(() => accepts({ key: 'base64' }, value, 'body', key.toString('base64'))).not.toThrow();
    expect(() => accepts({ key: 'whsec' }, value, 'body', `whsec_${key.toString('base64')}`)).not.toThrow();
  });

  test.each([
    ['hex', 'abc'],
    ['base64', 'not base64!'],
    ['whsec', 'whsec_no base64'],
  ])('whose secret is not %s is refused, without repeating it', (key, wrong) => {
    expect(() => accepts({ key }, 'x', 'body', wrong)).toThrow(SecretInvalid);
    expect(() => accepts({ key }, 'x', 'body', wrong)).not.toThrow(wrong);
  });

  test('in base64 takes no second spelling of the same bytes', () => {
    const value = mac('body').digest('base64');
    const unpadded = value.slice(0, -1);
    for (const other of [unpadded, `${value}=`, `${value} `, value.replaceAll('+', '-').replaceAll('/', '_').slice(0, -1)]) {
      expect(() => accepts({ encoding: 'base64' }, other, 'body')).toThrow(SignatureMalformed);
    }
  });
});

test.each([
  // Vectors published by providers whose schemes are of these families (Bitbucket, Mux, Square).
  [
    'prefix and hex',
    { prefix: 'sha256=' },
    "It's a Secret to Everybody",
    'Hello World!',
    'sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9',
    nowMs,
  ],
  [
    'timestamp in a list',
    { list: { separator: ',', keyValue: '=', signature: 'v1', timestamp: 't' }, template: '{timestamp}.{body}' },
    'SuperSecret123',
    'payload',
    't=1591664030,v1=e43496b6aae982c4c2fd6f8e92935f1d90216f1f64d56024e72390acfb988272',
    1_591_664_030_000,
  ],
  [
    'a constant before the body, base64',
    { template: 'https://webhook.site/679a4f3a-dcfa-49ee-bac5-9d0edad886b9{body}', encoding: 'base64' },
    'Ibxx_5AKakO-3qeNVR61Dw',
    '{"merchant_id":"MLEFBHHSJGVHD","type":"webhooks.test_notification","event_id":"ac3ac95b-f97d-458c-a6e6-18981597e05f","created_at":"2022-07-13T20:30:59.037339943Z","data":{"type":"webhooks","id":"bc368e64-01aa-407e-b46e-3231809b1129"}}',
    'GF4YkrJgGBDZ9NIYbNXBnMzqb2HoL4RW/S6vkZ9/2N4=',
    nowMs,
  ],
])('a published vector verifies in words of a custom scheme: %s', (_, words, key, body, value, at) => {
  const resolved = createVerifier(signatureScheme.parse({ header: 'x-sig', ...words }), [key]);
  expect(() => resolved.verify(asReceived({ headers: { 'x-sig': value }, body }), at)).not.toThrow();
});
