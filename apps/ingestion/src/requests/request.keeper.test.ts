import { createHmac } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { RequestReceived } from '#libs/contracts';
import type { DomainError, SourceSpec } from '#libs/contracts';
import type { DoorRequest } from '#libs/service';
import { SignatureMismatch, SignatureMissing } from '#libs/signatures';
import { BodyMalformed, resolveSource } from '#libs/sources';
import type { Source, WebhookSource } from '#libs/sources';
import { SourceUnusable } from '../sources/source.errors.js';
import type { RequestLog } from './request-log.js';
import { RequestKeeper } from './request.keeper.js';
import { SampleRate } from './sample-rate.js';

const secret = 'a shared secret';
function sourceOf(name: string, keepRequests?: SourceSpec['keepRequests'], tenant = 'acme'): Source & { webhook: WebhookSource } {
  const spec = {
    scheme: 'github',
    secrets: [{ value: secret }],
    lane: { default: 'normal', rules: [] },
    keepRequests,
  } as unknown as SourceSpec;
  return resolveSource(tenant, name, spec) as Source & { webhook: WebhookSource };
}

const rawBody = Buffer.from('{"zen":"Design for failure."}');
const headers = {
  'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(rawBody).digest('hex')}`,
  authorization: 'Basic aHVudGVyMg==',
};
const request: DoorRequest = {
  method: 'POST',
  target: '/webhooks/acme.code?token=t0psecret',
  address: 'acme.code',
  headers,
  rawHeaders: Object.entries(headers).flat(),
  clientAddress: '192.0.2.1',
  isProxied: true,
  rawBody,
  receivedAtMs: Date.parse('2026-11-30T10:00:00.000Z'),
};

function keeperOver(append: (record: RequestReceived) => Promise<void>) {
  const spy = vi.fn(append);
  return {
    append: spy,
    keeper: new RequestKeeper({ append: spy } as unknown as RequestLog, 65_536),
    records: () => spy.mock.calls.map(([record]) => record),
  };
}
const taking = () => keeperOver(() => Promise.resolve());
const refusal = (error: DomainError, isVerified = false) => ({ error, isVerified });

test('a refused request is appended without its secrets, and the record passes the check of its type', () => {
  const { keeper, records } = taking();
  keeper.refused(sourceOf('code'), request, refusal(new SignatureMismatch()));
  const [record] = records();
  expect(RequestReceived.check.parse(record)).toEqual(record);
  expect(record).toMatchObject({
    tenant: 'acme',
    customer: '-/code',
    source: 'code',
    outcome: 'refused',
    code: 'signature.mismatch',
    isVerified: false,
  });
  expect(record).toMatchObject({
    path: '/webhooks/acme.code',
    query: 'token=[redacted]',
    clientAddress: '192.0.2.1',
    isProxied: true,
    body: String(rawBody),
  });
  expect(JSON.stringify(record)).not.toMatch(/hunter2|aHVudGVy|t0psecret|a shared secret/);
});

test('bytes that are no text are kept as they are', () => {
  const { keeper, records } = taking();
  keeper.refused(sourceOf('code'), { ...request, rawBody: Buffer.from([0xff, 0x00]) }, refusal(new SignatureMismatch()));
  expect(records()).toMatchObject([{ bodyBase64: '/wA=', bodyBytes: 2 }]);
  expect(RequestReceived.check.safeParse(records()[0]).success).toBe(true);
});

test('a failure of ours is not kept, nor anything where the source wants none', () => {
  const { append, keeper } = taking();
  keeper.refused(sourceOf('code'), request, refusal(new SourceUnusable('acme.code', new Error('x'))));
  keeper.refused(sourceOf('code'), request, { error: new Error('a defect'), isVerified: true });
  keeper.refused(sourceOf('code', 'none'), request, refusal(new SignatureMismatch()));
  expect(append).not.toHaveBeenCalled();
});

test('an accepted request is kept only where its source asks for it', () => {
  const { keeper, records } = taking();
  const events = [{ eventId: 'evt_1' }] as never;
  keeper.accepted(sourceOf('code'), request, events);
  keeper.accepted(sourceOf('code', 'refused'), request, events);
  keeper.accepted(sourceOf('code', 'all'), request, events);
  expect(records()).toMatchObject([{ outcome: 'accepted', code: null, message: null, isVerified: true, eventIds: ['evt_1'] }]);
});

test('a flood of one refusal leaves room for another, and one source of a tenant for those of other tenants', () => {
  const { append, keeper, records } = taking();
  const flooded = sourceOf('code');
  for (let sent = 0; sent < 1_000; sent += 1) keeper.refused(flooded, request, refusal(new SignatureMismatch()));
  expect(append).toHaveBeenCalledTimes(20);
  keeper.refused(sourceOf('code'), request, refusal(new BodyMalformed('body', 'is not JSON'), true));
  expect(records().at(-1)).toMatchObject({ code: 'request.malformed', isVerified: true });
  for (let at = 0; at < 50; at += 1) {
    const source = sourceOf(`flood-${at}`);
    for (let sent = 0; sent < 20; sent += 1) keeper.refused(source, request, refusal(new SignatureMissing('header x')));
  }
  expect(append.mock.calls.length - 100).toBeLessThanOrEqual(2); // what came in the time that it takes
  keeper.refused(sourceOf('code', undefined, 'globex'), request, refusal(new SignatureMismatch()));
  expect(records().at(-1)).toMatchObject({ tenant: 'globex' });
});

test('a log that does not answer, or refuses, costs the caller nothing, and what waits for it is limited', async () => {
  const gate = Promise.withResolvers<void>();
  const { append, keeper } = keeperOver(() => gate.promise);
  const big = { ...request, rawBody: Buffer.alloc(65_536, 'x') };
  for (let at = 0; at < 500; at += 1) keeper.refused(sourceOf('code', undefined, `t${at}`), big, refusal(new SignatureMismatch()));
  expect(append).toHaveBeenCalledTimes(128); // 8 MiB
  gate.reject(new Error('the log is away'));
  await expect
    .poll(() => (keeper.refused(sourceOf('code', undefined, 'later'), request, refusal(new SignatureMismatch())), append.mock.calls.length))
    .toBeGreaterThan(128);
});

test('a rate lets through what comes evenly, and a burst once', () => {
  let nowMs = 0;
  const rate = new SampleRate(6, 20, () => nowMs);
  const taken = (): number => {
    let count = 0;
    for (; rate.has('a'); count += 1) rate.take('a');
    return count;
  };
  expect(taken()).toBe(20);
  nowMs += 60_000;
  expect(taken()).toBe(6);
  expect(rate.has('b')).toBe(true);
  nowMs += 3_600_000;
  expect(taken()).toBe(20);
});
