import { createHash, createHmac } from 'node:crypto';
import { document, signatureScheme } from '#libs/contracts';
import { describe, expect, test } from 'vitest';
import { createVerifier } from './create-verifier.js';
import { PublicUrlMissing, SignatureMalformed, SignatureMismatch } from './signature.errors.js';
import { acceptedTampering, asReceived } from './tampering.js';
import type { PlainRequest } from './tampering.js';

const secret = '12345';
const publicUrl = 'https://mycompany.com/myapp.php';
const mac = (text: string, hash = 'sha256') => createHmac(hash, secret).update(text).digest('hex');
const verifierOf = (scheme: object) => createVerifier(signatureScheme.parse({ header: 'x-sig', ...scheme }), [secret], { publicUrl });

describe('terms beside the body', () => {
  const received = (text: string, more: Partial<PlainRequest> = {}) => asReceived({ headers: { 'x-sig': mac(text) }, body: '{}', ...more });

  test('{parameter.NAME} is a value of the source, without which there is no verifier', () => {
    const scheme = signatureScheme.parse({ header: 'x-sig', template: '{parameter.webhookId}|{body}' });
    const verifier = createVerifier(scheme, [secret], { parameters: { webhookId: 'WH-1' } });
    expect(() => verifier.verify(received('WH-1|{}'), 0)).not.toThrow();
    expect(() => verifier.verify(received('WH-2|{}'), 0)).toThrow(SignatureMismatch);
    expect(() => createVerifier(scheme, [secret])).toThrow('spec.parameters.webhookId: is missing');
  });

  test('{decodedUrl} decodes the escapes that HubSpot decodes, and no others', () => {
    const verifier = verifierOf({ template: '{decodedUrl}{body}' });
    const target = '/x?a=%3A%2f%3F%40%21%24%27%28%29%2A%2C%3B&b=%20%26%C3%A4%25';
    const text = `${publicUrl}?a=:/?@!$'()*,;&b=%20%26%C3%A4%25{}`;
    expect(() => verifier.verify(received(text, { target }), 0)).not.toThrow();
  });

  test('a timestamp within the body is judged after the signature', () => {
    const verifier = verifierOf({ timestampField: 'meta.sentAt', timestampUnit: 'ms', toleranceSeconds: 60 });
    const at = (body: string, nowMs: number) => () => verifier.verify(received(body, { body }), nowMs);
    const body = '{"meta":{"sentAt":1700000000000}}';
    expect(at(body, 1_700_000_060_000)).not.toThrow();
    expect(at(body, 1_700_000_061_000)).toThrow('signed 61 s ago');
    for (const without of ['{}', 'no JSON', '{"meta":{"sentAt":"soon"}}', '{"meta":[1]}', '['.repeat(200), '\u00ff']) {
      expect(at(without, 1_700_000_060_000)).toThrow(SignatureMalformed);
    }
    expect(() => verifierOf({ timestampField: 'a', template: '{crc32}' })).toThrow('needs {body}');
  });

  test('sha256 is the plain hash of secret and text', () => {
    const verifier = verifierOf({ algorithm: 'sha256' });
    const signature = createHash('sha256').update(`${secret}{}`).digest('hex');
    expect(() => verifier.verify(asReceived({ headers: { 'x-sig': signature }, body: '{}' }), 0)).not.toThrow();
    expect(() => verifier.verify(received('{}'), 0)).toThrow(SignatureMismatch);
  });
});

describe('Twilio’s scheme: the URL and the sorted fields of the form', () => {
  const verifier = verifierOf({
    header: 'X-Twilio-Signature',
    algorithm: 'hmac-sha1',
    encoding: 'base64',
    template: '{url}{form}',
    bodyDigestQuery: 'bodySHA256',
  });
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const fields = { CallSid: 'CA1234567890ABCDE', Caller: '+14158675309', Digits: '1234', From: '+14158675309', To: '+18005551212' };
  const vector: PlainRequest = {
    target: '/webhooks/acme.twilio?foo=1&bar=2',
    headers: { ...form, 'x-twilio-signature': 'RSOYDt4T1cUTdK1PDd93/VVr8B8=' },
    body: new URLSearchParams(fields).toString(),
  };
  const signedJson = (body: string, digest = createHash('sha256').update(body).digest('hex')): PlainRequest => {
    const query = `bodySHA256=${digest}`;
    const signature = createHmac('sha1', secret).update(`${publicUrl}?${query}`).digest('base64');
    return { target: `/x?${query}`, headers: { 'content-type': 'application/json', 'x-twilio-signature': signature }, body };
  };

  test('the published vector verifies, whatever the order of the fields', () => {
    expect(() => verifier.verify(asReceived(vector), 0)).not.toThrow();
    const reversed = new URLSearchParams(Object.entries(fields).toReversed()).toString();
    expect(() => verifier.verify(asReceived({ ...vector, body: reversed }), 0)).not.toThrow();
  });

  test('with any byte of a header or the body flipped it is refused', () => {
    const accepted = acceptedTampering(verifier, vector, 0);
    // A content type is case-insensitive, and so are the hexadecimal digits of an escape: neither changes a field.
    const escapes = [...String(vector.body).matchAll(/%2B/g)].map(({ index }) => `byte ${index + 2} of the body, bit 32`);
    expect(accepted.filter((what) => !what.includes('content-type'))).toEqual(escapes);
  });

  test('with another query, another field or one more it is refused', () => {
    for (const altered of [
      { target: '/webhooks/acme.twilio?foo=1&bar=3' },
      { target: '/webhooks/acme.twilio' },
      { body: `${String(vector.body)}&Extra=1` },
      { body: String(vector.body).replace('1234', '1235') },
      { body: '' },
    ]) {
      expect(() => verifier.verify(asReceived({ ...vector, ...altered }), 0)).toThrow(SignatureMismatch);
    }
  });

  test('JSON is covered by the digest in the signed URL, and refused without it', () => {
    expect(() => verifier.verify(asReceived(signedJson('{"a":1}')), 0)).not.toThrow();
    expect(() => verifier.verify(asReceived({ ...signedJson('{"a":1}'), body: '{"a":2}' }), 0)).toThrow(SignatureMismatch);
    const signature = createHmac('sha1', secret).update(publicUrl).digest('base64');
    const uncovered = { headers: { 'content-type': 'application/json', 'x-twilio-signature': signature }, body: '{"a":1}' };
    expect(() => verifier.verify(asReceived(uncovered), 0)).toThrow(SignatureMalformed);
  });

  test('equal values of a field count once', () => {
    const body = 'b=2&a=1&b=1&b=2';
    const signature = createHmac('sha1', secret).update(`${publicUrl}a1b1b2`).digest('base64');
    expect(() => verifier.verify(asReceived({ headers: { ...form, 'x-twilio-signature': signature }, body }), 0)).not.toThrow();
  });
});

test('method, URL, query and headers can be signed', () => {
  const verifier = verifierOf({ template: '{method} {url} {query.tenant} {header.X-Event}\n{body}' });
  const request = {
    method: 'POST',
    target: '/any?tenant=a%2Fb',
    headers: { 'x-sig': mac(`POST ${publicUrl}?tenant=a%2Fb a/b paid\n{}`), 'x-event': 'paid' },
    body: '{}',
  };
  expect(() => verifier.verify(asReceived(request), 0)).not.toThrow();
  expect(() => verifier.verify(asReceived({ ...request, method: 'PUT' }), 0)).toThrow(SignatureMismatch);
  expect(() => verifier.verify(asReceived({ ...request, target: '/any?tenant=b' }), 0)).toThrow(SignatureMismatch);
  expect(acceptedTampering(verifier, request, 0)).toEqual([]);
  const { 'x-event': _, ...withoutEvent } = request.headers;
  expect(() => verifier.verify(asReceived({ ...request, headers: withoutEvent }), 0)).toThrow('The header x-event is missing');
  expect(() => verifier.verify(asReceived({ ...request, target: '/any' }), 0)).toThrow('The query parameter tenant is missing');
  expect(() => verifier.verify(asReceived({ ...request, headers: { ...request.headers, 'x-event': 'a b' } }), 0)).toThrow(
    'x-event cannot be part of the signed text',
  );
});

test('the CRC-32 of the body can be signed in its place', () => {
  const verifier = verifierOf({ template: 'id|{crc32}' });
  const request = { headers: { 'x-sig': mac('id|3421780262') }, body: '123456789' };
  expect(() => verifier.verify(asReceived(request), 0)).not.toThrow();
  expect(() => verifier.verify(asReceived({ ...request, body: '123456780' }), 0)).toThrow(SignatureMismatch);
});

test('a timestamp can be RFC 3339', () => {
  const verifier = verifierOf({ template: '{timestamp}{body}', timestampHeader: 'x-time', timestampUnit: 'rfc3339' });
  const request = (time: string) => asReceived({ headers: { 'x-sig': mac(`${time}x`), 'x-time': time }, body: 'x' });
  const nowMs = Date.parse('2026-01-31T12:00:00Z');
  expect(() => verifier.verify(request('2026-01-31T13:04:00+01:00'), nowMs)).not.toThrow();
  expect(() => verifier.verify(request('2026-01-31T11:54:59Z'), nowMs)).toThrow('signed 301 s ago');
  for (const wrong of ['1769860800', '2026-01-31', '2026-13-31T12:00:00Z', 'yesterday']) {
    expect(() => verifier.verify(request(wrong), nowMs)).toThrow('The timestamp is not RFC 3339');
  }
});

test('a scheme that signs the URL needs the public URL of the source', () => {
  const scheme = signatureScheme.parse({ header: 'x-sig', template: '{url}{body}' });
  expect(() => createVerifier(scheme, [secret])).toThrow(PublicUrlMissing);
});

test('braces that are no term are text', () => {
  const verifier = verifierOf({ template: '{"v":{body}}' });
  expect(() => verifier.verify(asReceived({ headers: { 'x-sig': mac('{"v":1}') }, body: '1' }), 0)).not.toThrow();
});

test.each([
  ['covers no body', { template: '{timestamp}', timestampHeader: 't' }, 'must contain {body} exactly once'],
  ['covers it twice', { template: '{body}{form}' }, 'must contain {body} exactly once'],
  ['has a digest that is not signed', { template: '{form}', bodyDigestQuery: 'd' }, 'needs {form} and {url} in the template'],
])('a document is refused whose template %s', (_, custom, message) => {
  const spec = { scheme: 'custom', custom: { header: 'x-sig', ...custom }, secrets: [{ value: 'x' }] };
  const result = document.safeParse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'a', name: 's' }, spec });
  expect(result.error?.message).toContain(message);
});

test('a document without a kind is of the kind hmac, and stays as it was written', () => {
  const spec = { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: 'x' }] };
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'a', name: 's' }, spec });
  expect(parsed.spec).not.toHaveProperty('custom.kind');
  const unknown = { ...spec, custom: { kind: 'jwt' } };
  const result = document.safeParse({ apiVersion: 'millrace/v1', kind: 'Source', metadata: { tenant: 'a', name: 's' }, spec: unknown });
  expect(result.error?.message).toContain('must be one of asymmetric, basic, certificate, client-certificate, fields, hmac, none, token');
});

test('a refusal names the address as the likely mistake if it is signed, too, and only then', () => {
  const request = asReceived({ target: '/myapp.php', headers: { 'x-sig': 'ab'.repeat(32) }, body: 'x' });
  expect(() => verifierOf({ template: '{url}{body}' }).verify(request, 0)).toThrow(
    'spec.publicUrl must be the one that the provider calls',
  );
  expect(() => verifierOf({ template: '{body}' }).verify(request, 0)).toThrow('makes of the body as it was received');
});
