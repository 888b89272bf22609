import { createHmac } from 'node:crypto';
import type { SourceSpec } from '#libs/contracts';
import { logger } from '#libs/tracing';
import type { DoorRequest } from '#libs/service';
import type { Handshake } from '#libs/signatures';
import { expect, test } from 'vitest';
import type { Intake } from '../intake/intake.js';
import { IntakeLog } from '../intake/intake-log.js';
import { resolveSource } from '#libs/sources';
import type { RequestLimits } from '../limits/request.limits.js';
import type { RequestLog } from '../requests/request-log.js';
import { RequestKeeper } from '../requests/request.keeper.js';
import type { SourceCatalog } from '../sources/source-catalog.js';
import { WebhookService } from './webhook.service.js';

/** Handshakes of the kinds that providers use: Meta's challenge by GET, Intercom's probe by HEAD, Zoom's proof that we have the secret by POST. */
const handshake: Handshake = {
  methods: ['GET', 'HEAD', 'POST'],
  respond({ method, query, headers, body, secrets }) {
    if (method === 'HEAD') return { status: 200, body: '' };
    if (method === 'GET') {
      const isOurs = secrets.includes(query.get('hub.verify_token') ?? '');
      return isOurs ? { status: 200, body: query.get('hub.challenge') ?? '' } : undefined;
    }
    const plainToken = (body as { plainToken?: string }).plainToken;
    if (plainToken === undefined || headers['x-handshake'] === 'no') return undefined;
    return { status: 200, body: { plainToken, encryptedToken: createHmac('sha256', secrets[0]!).update(plainToken).digest('hex') } };
  },
};

const spec: SourceSpec = {
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
  lane: { default: 'normal', rules: [] },
};

function service(answered = handshake, newer?: SourceSpec) {
  const source = resolveSource('acme', 'meta', spec);
  const withHandshake = { ...source, webhook: { ...source.webhook!, preset: { ...source.webhook!.preset, handshake: answered } } };
  const at = (address: string) => (address === 'acme.meta' ? withHandshake : undefined);
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
  const rotated = service(handshake, { ...spec, secrets: [{ value: 'new' }] });
  expect(await rotated.receive(signed('new'))).toMatchObject({ status: 200 });
  expect(await rotated.receive(signed('secret')), 'the one in memory').toMatchObject({ status: 200 });
  await expect(rotated.receive(signed('other'))).rejects.toMatchObject({ code: 'signature.mismatch' });
  await expect(service().receive(signed('new'))).rejects.toMatchObject({ code: 'signature.mismatch' });
});

test('a challenge by GET is answered to whoever knows the secret, and to nobody else', async () => {
  const get = (query: string) => service().receive(request({ method: 'GET', target: `/webhooks/acme.meta?${query}` }));
  expect(await get('hub.mode=subscribe&hub.verify_token=secret&hub.challenge=1158201444')).toEqual({ status: 200, body: '1158201444' });
  for (const query of ['hub.verify_token=guess&hub.challenge=1', 'hub.challenge=1', '']) {
    await expect(get(query)).rejects.toMatchObject({ code: 'signature.mismatch' });
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
  expect(await service().receive(request({ rawBody, headers: { 'x-handshake': 'no' } }))).toMatchObject({ body: { eventIds: ['evt_1'] } });
  await expect(service().receive(request({ rawBody, headers: { 'x-sig': '00'.repeat(32) } }))).rejects.toMatchObject({
    code: 'signature.mismatch',
  });
});

test('other methods are taken only where the provider has a handshake for them', async () => {
  expect(await service().handshakeMethods('acme.meta')).toEqual(['GET', 'HEAD']);
  expect(await service({ ...handshake, methods: ['POST'] }).handshakeMethods('acme.meta')).toEqual([]);
  expect(await service().handshakeMethods('acme.other')).toEqual([]);
  const onlyPost = service({ ...handshake, methods: ['POST'] });
  await expect(onlyPost.receive(request({ method: 'GET' }))).rejects.toMatchObject({ code: 'signature.mismatch' });
});
