import { createHmac, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { SourceDocument, SourceSpec } from '#libs/contracts';
import { bodyText, jsonHeaders } from '../../signatures/src/proof.js';
import type { PresetProof } from '../../signatures/src/proof.js';
import { proofs } from '../../signatures/src/proofs.generated.js';
import { RequestRedaction } from './kept-request.js';
import { readAgain } from './repeated-request.js';
import { resolveSource } from './source.js';
import type { Source, WebhookSource } from './source.js';

const atMs = Date.parse('2026-11-30T10:00:00.000Z');

type Webhooks = Source & { webhook: WebhookSource };
function sourceWith(spec: object): Webhooks {
  const metadata = { tenant: 'acme', name: 'partner' };
  const { spec: parsed } = document.parse({ apiVersion: 'millrace/v1', kind: 'Source', metadata, spec }) as SourceDocument;
  return resolveSource('acme', 'partner', parsed) as Webhooks;
}

interface Sent {
  readonly method?: string;
  readonly target?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}
function keptOf(source: Webhooks, { method = 'POST', target = '/webhooks/acme.partner', headers, body = '' }: Sent, maxBodyBytes = 65_536) {
  const request = { method, target, rawHeaders: Object.entries(headers).flat(), rawBody: Buffer.from(body) };
  const kept = new RequestRedaction(source.webhook).kept(request, maxBodyBytes);
  return { ...kept, clientAddress: '192.0.2.1', isProxied: false, isVerified: false, receivedAtMs: atMs };
}

describe.each(Object.entries(proofs) as [SourceSpec['scheme'], PresetProof][])('a request of %s', (scheme, proof) => {
  const { secrets, publicUrl, parameters } = proof;
  const source = sourceWith({ scheme, secrets: [{ value: secrets[0].secret }], publicUrl, parameters });
  const sample = proof.samples.find(({ events = [] }) => events.length > 0)!;
  const { secret, key = secret } = secrets[0];
  const signed = proof.sign({ body: bodyText(sample), id: 'msg_2b7fJc0XhPq', atMs, key });
  const { body, headers } = signed;
  const kept = keptOf(source, {
    ...signed,
    target: signed.target ?? '/webhooks/acme.partner',
    headers: { ...(sample.headers ?? jsonHeaders), ...headers },
    body,
  });

  test('is verified again from what is kept of it, or says that its credential is not kept', async () => {
    const isCredential = source.webhook.preset.scheme.kind === 'token' || source.webhook.preset.scheme.kind === 'basic';
    if (isCredential) await expect(readAgain(source, kept)).rejects.toThrow('no credential is kept');
    else
      expect((await readAgain(source, kept)).map(({ providerEventId }) => providerEventId)).toEqual(
        sample.events!.map(({ eventId }) => eventId),
      );
  });

  test('is refused again with another secret, and keeps nothing of its secret', async () => {
    const other = sourceWith({ scheme, secrets: [{ value: secrets[1].secret }], publicUrl, parameters });
    await expect(readAgain(other, kept)).rejects.toMatchObject({ code: expect.stringMatching(/^signature\.|unverifiable$/) as string });
    const isPublic = ['asymmetric', 'certificate'].includes(source.webhook.preset.scheme.kind ?? 'hmac');
    if (!isPublic) expect(JSON.stringify({ ...kept, body: kept.body.toString('latin1') })).not.toContain(secret);
  });
});

const hmac = { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: 'a shared secret' }] };
const signatureOf = (body: string): string => createHmac('sha256', 'a shared secret').update(body).digest('hex');

describe('of a request is kept', () => {
  test('no credential, whichever header or parameter it stands in', () => {
    const secret = 'hunter2-hunter2';
    const headers = {
      authorization: `Bearer ${secret}`,
      'Proxy-Authorization': secret,
      cookie: `session=${secret}`,
      'X-Api-Key': secret,
      'x-auth-token': secret,
      'x-vendor': `Basic ${secret}`,
      'x-access-key-id': secret,
      'x-echo': 'it was: a shared secret',
      'x-sig': 'ab12',
      'content-type': 'application/json',
    };
    const kept = keptOf(sourceWith(hmac), {
      headers,
      target: `/webhooks/acme.partner?api_key=${secret}&sig=${secret}&hub.verify_token=${secret}&page=2`,
    });
    expect(JSON.stringify(kept)).not.toContain(secret);
    expect(JSON.stringify(kept)).not.toContain('a shared secret');
    expect(kept.headers).toContainEqual({ name: 'x-sig', value: 'ab12' });
    expect(kept.headers).toContainEqual({ name: 'content-type', value: 'application/json' });
    expect(kept.query).toBe('api_key=[redacted]&sig=[redacted]&hub.verify_token=[redacted]&page=2');
    expect(kept.redacted).toEqual(expect.arrayContaining(['header authorization', 'header x-echo', 'query sig']));
  });

  test('a signature under a name like that of a credential, where the scheme has it there', async () => {
    const source = sourceWith({ ...hmac, custom: { header: 'x-auth-key' } });
    const kept = keptOf(source, { headers: { 'X-Auth-Key': signatureOf('{"id":"1"}') }, body: '{"id":"1"}' });
    expect(await readAgain(source, kept)).toHaveLength(1);
  });

  test('no Authorization, even where the scheme has its signature there, and it is said', async () => {
    const source = sourceWith({ ...hmac, custom: { header: 'authorization' } });
    const kept = keptOf(source, { headers: { authorization: signatureOf('x') }, body: 'x' });
    expect(JSON.stringify(kept)).not.toContain(signatureOf('x'));
    await expect(readAgain(source, kept)).rejects.toThrow('its header authorization is needed, and was not kept');
  });

  test('no token of a scheme, in its header or parameter', async () => {
    for (const custom of [
      { kind: 'token', header: 'x-odd' },
      { kind: 'token', query: 'odd' },
    ]) {
      const source = sourceWith({ ...hmac, custom });
      const kept = keptOf(source, { headers: { 'x-odd': 'a shared secret' }, target: '/webhooks/acme.partner?odd=a%20shared%20secret' });
      expect(JSON.stringify(kept)).not.toMatch(/a( |%20)shared( |%20)secret/);
      await expect(readAgain(source, kept)).rejects.toThrow('no credential is kept');
    }
  });

  test('no token, also a wrong one, in the header or parameter where the source has it, whatever its name', () => {
    const byHeader = keptOf(
      sourceWith({ scheme: 'custom', custom: { kind: 'token', header: 'X-Odd' }, secrets: [{ value: 'a shared secret' }] }),
      {
        headers: { 'x-odd': 'a mistyped secret' },
      },
    );
    expect([byHeader.headers, byHeader.redacted]).toEqual([[{ name: 'x-odd', value: '[redacted]' }], ['header x-odd']]);
    const handshakes = [{ method: 'GET', when: [{ query: 'verify', parameter: 'word' }], text: { query: 'c' } }];
    const byQuery = keptOf(sourceWith({ ...hmac, parameters: { word: { value: 'x' } }, handshakes }), {
      method: 'GET',
      target: '/webhooks/acme.partner?verify=guess&c=1',
      headers: {},
    });
    expect([byQuery.query, byQuery.redacted]).toEqual(['verify=[redacted]&c=1', ['query verify']]);
  });

  test('nothing of the key of a Standard Webhooks secret, also without its prefix', () => {
    const key = Buffer.from('a key of twenty-four byte').toString('base64');
    const kept = keptOf(sourceWith({ ...hmac, secrets: [{ value: `whsec_${key}` }] }), { headers: { 'x-odd': `it is ${key}` }, body: key });
    expect(kept.redacted).toEqual(['header x-odd', 'body']);
    expect(JSON.stringify(kept.headers)).not.toContain(key);
  });

  test('no body that holds a secret of the source', async () => {
    const source = sourceWith(hmac);
    const kept = keptOf(source, { headers: { 'x-sig': 'ab' }, body: '{"debug":"a shared secret"}' });
    expect([kept.body.length, kept.bodyBytes, kept.redacted]).toEqual([0, 27, ['body']]);
    await expect(readAgain(source, kept)).rejects.toThrow('its body held a secret of the source');
  });

  test.each([
    ['as PHP writes JSON', String.raw`{"debug":"it\/is/secret"}`],
    ['with letters of JSON', String.raw`{"debug":"\u0069t\u002fis/secret"}`],
    ['as a form', 'debug=it%2Fis%2fsecret'],
    ['escaped twice in a form', `payload=${encodeURIComponent(JSON.stringify({ debug: encodeURIComponent('it/is/secret') }))}`],
    ['in XML', '<debug>it&#x2F;is&#47;secret</debug>'],
    ['as base64', JSON.stringify({ debug: Buffer.from('user:it/is/secret').toString('base64') })],
  ])('no body that holds a secret %s', (_, body) => {
    const source = sourceWith({ ...hmac, secrets: [{ value: 'it/is/secret' }] });
    const kept = keptOf(source, { headers: { 'x-sig': 'ab' }, body });
    expect([kept.body.length, kept.bodyBytes, kept.redacted]).toEqual([0, Buffer.byteLength(body), ['body']]);
  });

  test('no header and no parameter that holds a secret in another form', () => {
    const encoded = Buffer.from('user:a shared secret').toString('base64');
    const headers = { 'x-debug': encoded, 'x-sig': String.raw`\u0061 shared secret`, 'x-other': 'plain' };
    const target = `/webhooks/acme.partner?a=${encoded}&%61%2520shared%2520secret&%61+shared+secret=1&page=2`;
    const kept = keptOf(sourceWith(hmac), { headers, target });
    expect(kept.headers).toEqual([
      { name: 'x-debug', value: '[redacted]' },
      { name: 'x-sig', value: '[redacted]' },
      { name: 'x-other', value: 'plain' },
    ]);
    expect(kept.query).toBe('a=[redacted]&[redacted]&[redacted]=[redacted]&page=2');
    expect(kept.redacted).toEqual(['header x-debug', 'header x-sig', 'query a', 'query [redacted]']);
  });

  test('a body that is cut before a secret, but not within one', () => {
    const kept = (body: string) => keptOf(sourceWith(hmac), { headers: { 'x-sig': 'ab' }, body }, 100).body.length;
    const escaped = String.raw`\u0061\u0020\u0073hared secret`;
    expect([kept(`${'x'.repeat(100)}${escaped}`), kept(`${'x'.repeat(95)}${escaped}`)]).toEqual([0, 0]);
    expect(kept(`${'x'.repeat(20_000)}${escaped}`)).toBe(100);
  });

  test.each([
    ['a parameter that a handshake compares', { ...hmac, parameters: { verifyToken: { value: 'a-long-verify-token' } } }],
    ['a parameter of a preset', { scheme: 'meta', secrets: hmac.secrets, parameters: { verifyToken: { value: 'a-long-verify-token' } } }],
    [
      'a parameter where the secrets of the scheme are public keys',
      {
        ...hmac,
        custom: { kind: 'asymmetric', algorithm: 'ed25519', header: 'x-sig' },
        secrets: [{ value: generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }) }],
        parameters: { word: { value: 'a-long-verify-token' } },
      },
    ],
    ['an address that is a secret', { ...hmac, publicUrl: { value: 'https://acme.example/a-long-verify-token' } }],
  ])('nothing of %s', (_what, spec) => {
    const text = 'publicUrl' in spec ? spec.publicUrl.value : 'a-long-verify-token';
    const kept = keptOf(sourceWith(spec), {
      headers: { 'x-leak': `it is ${text}` },
      target: `/webhooks/acme.partner?note=${text}`,
      body: `{"debug":"${text}"}`,
    });
    expect(JSON.stringify({ ...kept, body: kept.body.toString('utf8') })).not.toContain('a-long-verify-token');
    expect(kept.redacted).toEqual(['header x-leak', 'query note', 'body']);
  });

  test('a parameter that the document has as plain text, because it is no secret', () => {
    const source = sourceWith({ ...hmac, parameters: { organization: 'org-4711-4711' } });
    const kept = keptOf(source, { headers: { 'x-organization': 'org-4711-4711' }, body: '{"of":"org-4711-4711"}' });
    expect(kept.redacted).toEqual([]);
  });

  test('the beginning of a long body, which cannot be verified again', async () => {
    const source = sourceWith(hmac);
    const body = 'x'.repeat(101);
    const kept = keptOf(source, { headers: { 'x-sig': signatureOf(body) }, body }, 100);
    expect([kept.body.length, kept.bodyBytes]).toEqual([100, 101]);
    await expect(readAgain(source, kept)).rejects.toThrow('of its body of 101 bytes only 100 were kept');
    expect(await readAgain(source, keptOf(source, { headers: { 'x-sig': signatureOf(body) }, body }, 101))).toHaveLength(1);
  });
});

test('a request that proved who sent it is read again without its proof, and by the document as it is now', async () => {
  const source = sourceWith({ ...hmac, secrets: [{ value: 'another secret' }], type: 'body.kind' });
  const headers = { 'x-sig': signatureOf('{"id":"1","kind":"a"}'), 'content-type': 'application/json' };
  const kept = keptOf(source, { headers, body: '{"id":"1","kind":"a"}' });
  await expect(readAgain(source, kept)).rejects.toMatchObject({ code: 'signature.mismatch' });
  expect(await readAgain(source, { ...kept, isVerified: true })).toMatchObject([{ type: 'a', receivedAt: '2026-11-30T10:00:00.000Z' }]);
});

test('a request is not read again without a header that an expression reads, because it could become another event', async () => {
  const source = sourceWith({ ...hmac, eventId: '$lookup(headers, "x-delivery-token")' });
  const kept = keptOf(source, { headers: { 'x-sig': signatureOf('{}'), 'X-Delivery-Token': 'd-1' }, body: '{}' });
  for (const isVerified of [false, true])
    await expect(readAgain(source, { ...kept, isVerified })).rejects.toThrow('reads its header x-delivery-token, which was not kept');
});

test('a header that an expression reads by its name is data, unless it is never kept', async () => {
  const source = sourceWith({ ...hmac, eventId: 'headers."x-delivery-token"', customer: 'headers.cookie' });
  const kept = keptOf(source, { headers: { 'x-sig': signatureOf('{}'), 'X-Delivery-Token': 'd-1' }, body: '{}' });
  expect(await readAgain(source, kept)).toMatchObject([{ providerEventId: 'd-1' }]);
  const withCookie = keptOf(source, { headers: { 'x-sig': signatureOf('{}'), cookie: 'c-1' }, body: '{}' });
  await expect(readAgain(source, withCookie)).rejects.toThrow('reads its header cookie, which was not kept');
});

test('a handshake brings no event again', async () => {
  const source = sourceWith(hmac);
  await expect(readAgain(source, keptOf(source, { method: 'GET', headers: {} }))).rejects.toThrow(
    'a GET is a handshake, and brings no event',
  );
});
