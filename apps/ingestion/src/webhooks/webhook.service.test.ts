import { createHmac } from 'node:crypto';
import { sourceHandshake } from '#libs/contracts';
import type { SourceHandshakeInput, SourceSpec } from '#libs/contracts';
import { logger } from '#libs/tracing';
import type { DoorRequest } from '#libs/service';
import { describe, expect, test } from 'vitest';
import type { Intake } from '../intake/intake.js';
import { IntakeLog } from '../intake/intake-log.js';
import { resolveSource } from '#libs/sources';
import type { RequestLimits } from '../limits/request.limits.js';
import type { RequestLog } from '../requests/request-log.js';
import { RequestKeeper } from '../requests/request.keeper.js';
import type { SourceCatalog } from '../sources/source-catalog.js';
import { WebhookService } from './webhook.service.js';

/** Handshakes of the kinds that providers use: Meta's challenge by GET, Intercom's probe by HEAD, Zoom's proof that we have the secret by POST. */
const handshakes: SourceHandshakeInput[] = [
  { method: 'HEAD' },
  { method: 'GET', when: [{ query: 'hub.verify_token', parameter: 'verifyToken' }], text: { query: 'hub.challenge' } },
  {
    method: 'POST',
    when: [{ body: 'plainToken' }],
    json: { plainToken: { body: 'plainToken' }, encryptedToken: { body: 'plainToken', hmac: {} } },
  },
];

const spec: Extract<SourceSpec, { scheme: 'custom' }> = {
  scheme: 'custom',
  custom: {
    header: 'x-sig',
    algorithm: 'hmac-sha256',
    encoding: 'hex',
    key: 'utf8',
    template: '{body}',
    prefix: '',
    timestampUnit: 's',
    toleranceSeconds: 300,
  },
  secrets: [{ value: 'secret' }],
  parameters: { verifyToken: { value: 'meatyhamhock' } },
  lane: { default: 'normal', rules: [] },
};

function service(answered = handshakes, newer?: SourceSpec) {
  const source = resolveSource('acme', 'meta', { ...spec, handshakes: answered.map((one) => sourceHandshake.parse(one)) });
  const at = (address: string) => (address === 'acme.meta' ? source : undefined);
  const changed = async () => (newer === undefined ? undefined : resolveSource('acme', 'meta', newer));
  const sources = { at, atNew: async (address: string) => at(address), changed } as unknown as SourceCatalog;
  const intake = { accept: async () => [{ eventId: 'evt_1' }] } as unknown as Intake;
  return new WebhookService(sources, intake, new IntakeLog(0, logger('test')), new RequestKeeper({} as unknown as RequestLog, 0), {
    take: () => Promise.resolve(undefined),
  } as unknown as RequestLimits);
}

const request = (more: Partial<DoorRequest>): DoorRequest => {
  const rawBody = more.rawBody ?? Buffer.alloc(0);
  const headers = {
    'content-type': 'application/json',
    'x-sig': createHmac('sha256', 'secret').update(rawBody).digest('hex'),
    ...more.headers,
  };
  return {
    method: 'POST',
    target: '/webhooks/acme.meta',
    address: 'acme.meta',
    clientAddress: '192.0.2.1',
    isProxied: false,
    receivedAtMs: 0,
    ...more,
    rawBody,
    headers,
    rawHeaders: Object.entries(headers).flat() as string[],
  };
};

test('a signature that does not fit is looked at again by the source as it was changed a moment ago', async () => {
  const rawBody = Buffer.from('{"type":"paid"}');
  const signed = (secret: string): DoorRequest =>
    request({ rawBody, headers: { 'x-sig': createHmac('sha256', secret).update(rawBody).digest('hex') } });
  const rotated = service(handshakes, { ...spec, secrets: [{ value: 'new' }] });
  expect(await rotated.receive(signed('new'))).toMatchObject({ status: 200 });
  expect(await rotated.receive(signed('secret')), 'the one in memory').toMatchObject({ status: 200 });
  await expect(rotated.receive(signed('other'))).rejects.toMatchObject({ code: 'signature.mismatch' });
  await expect(service().receive(signed('new'))).rejects.toMatchObject({ code: 'signature.mismatch' });
});

test('a challenge by GET is answered to whoever knows the verify token, and to nobody else', async () => {
  const get = (query: string) => service().receive(request({ method: 'GET', target: `/webhooks/acme.meta?${query}` }));
  expect(await get('hub.mode=subscribe&hub.verify_token=meatyhamhock&hub.challenge=1158201444')).toEqual({
    status: 200,
    body: '1158201444',
  });
  for (const [query, reason] of [
    ['hub.verify_token=guess&hub.challenge=1', 'hub.verify_token is not the value of spec.parameters.verifyToken of the source'],
    ['hub.verify_token=meatyhamhock', 'hub.challenge is missing'],
    ['', 'hub.verify_token is missing; the query parameter hub.challenge is missing'],
  ]) {
    await expect(get(query!)).rejects.toMatchObject({
      code: 'signature.noHandshake',
      message: `The request is not a handshake that this source answers: the query parameter ${reason}`,
    });
  }
});

test('a probe by HEAD is answered', async () => {
  expect(await service().receive(request({ method: 'HEAD' }))).toEqual({ status: 200, body: '' });
});

test('a handshake by POST is answered once it is verified, and any other POST is an event', async () => {
  const rawBody = Buffer.from('{"plainToken":"q9ibPhGeRZ6ayx5WTrXjRw"}');
  const encryptedToken = createHmac('sha256', 'secret').update('q9ibPhGeRZ6ayx5WTrXjRw').digest('hex');
  expect(await service().receive(request({ rawBody }))).toEqual({
    status: 200,
    body: { plainToken: 'q9ibPhGeRZ6ayx5WTrXjRw', encryptedToken },
  });
  expect(await service().receive(request({ rawBody: Buffer.from('{"type":"paid"}') }))).toMatchObject({ body: { eventIds: ['evt_1'] } });
  await expect(service().receive(request({ rawBody, headers: { 'x-sig': '00'.repeat(32) } }))).rejects.toMatchObject({
    code: 'signature.mismatch',
  });
});

test('other methods are taken only where the provider has a handshake for them', async () => {
  expect(await service().handshakeMethods('acme.meta')).toEqual(['HEAD', 'GET']);
  const onlyPost = service(handshakes.filter(({ method }) => method === 'POST'));
  expect(await onlyPost.handshakeMethods('acme.meta')).toEqual([]);
  expect(await service().handshakeMethods('acme.other')).toEqual([]);
  await expect(onlyPost.receive(request({ method: 'GET' }))).rejects.toMatchObject({ code: 'signature.noHandshake' });
});

describe('a source that signs a challenge for anybody', () => {
  const crc: SourceHandshakeInput[] = [
    {
      method: 'GET',
      when: [{ query: 'crc_token' }],
      json: { response_token: { query: 'crc_token', hmac: { encoding: 'base64', prefix: 'sha256=' } } },
    },
  ];
  const ask = (token: string) =>
    service(crc).receive(request({ method: 'GET', target: `/webhooks/acme.meta?crc_token=${encodeURIComponent(token)}` }));

  test('answers it with the code', async () => {
    const code = createHmac('sha256', 'secret').update('9b4507b3').digest('base64');
    expect(await ask('9b4507b3')).toEqual({ status: 200, body: { response_token: `sha256=${code}` } });
  });

  test.each(['{"type":"paid"}', '[1]', 'a=b&c=d', '<a/>', '', 'x'.repeat(257)])(
    'signs nothing that could be an event: %j',
    async (token) => {
      await expect(ask(token)).rejects.toMatchObject({ code: 'signature.noHandshake' });
    },
  );

  test.each(['9b4507b3', '123', ''])('takes no event whose signature could be such an answer: %j', async (text) => {
    await expect(service(crc).receive(request({ rawBody: Buffer.from(text) }))).rejects.toMatchObject({ code: 'signature.mismatch' });
    expect(await service(crc).receive(request({ rawBody: Buffer.from('{"type":"paid"}') }))).toMatchObject({ status: 200 });
  });
});

describe('a handshake by POST without a signature', () => {
  const graph: SourceHandshakeInput[] = [
    { method: 'POST', signed: false, when: [{ query: 'validationToken' }], text: { query: 'validationToken' } },
  ];
  const post = (target: string, headers: Record<string, string>) =>
    service(graph).receive({ ...request({ target }), headers, rawHeaders: Object.entries(headers).flat() });

  test('is answered with what it brought, and a POST that is signed is an event all the same', async () => {
    const target = '/webhooks/acme.meta?validationToken=Validation%3A%20Testing';
    const unsigned = { ...request({ target }), headers: {}, rawHeaders: [] };
    expect(await service(graph).receive(unsigned)).toEqual({ status: 200, body: 'Validation: Testing' });
    expect(await service(graph).receive(request({ target, rawBody: Buffer.from('{"type":"paid"}') }))).toMatchObject({
      body: { eventIds: ['evt_1'] },
    });
  });

  test('is refused where it does not fit, and where it is signed wrongly', async () => {
    await expect(post('/webhooks/acme.meta', {})).rejects.toMatchObject({ code: 'signature.missing' });
    await expect(post('/webhooks/acme.meta?validationToken=%3Cscript%3E', {})).rejects.toMatchObject({
      code: 'signature.noHandshake',
      message: expect.stringContaining('the query parameter validationToken is not sent back to anybody'),
    });
    const wrong = { 'x-sig': '00'.repeat(32) };
    await expect(post('/webhooks/acme.meta?validationToken=1', wrong)).rejects.toMatchObject({ code: 'signature.mismatch' });
  });
});
