import { describe, expect, test } from 'vitest';
import { DeliveryRefused, DeliveryTimedOut, DeliveryUnavailable } from '#libs/destinations';
import { NotFound, document } from '#libs/contracts';
import type { DestinationDocument, DestinationSpecOf } from '#libs/contracts';
import { afterFailure } from './state-after-attempt.js';
import type { Attempting, RepeatRules } from './state-after-attempt.js';

const hour = 3_600_000;
const down = new DeliveryUnavailable({ summary: 'status 503', detail: {} }, 'failing', undefined, false);
const noAnswer = new DeliveryTimedOut(new Error('no response within 100 ms'), true);
const steady = (): number => 0;
const at = new Date('2026-11-29T10:00:00.000Z');
const times = { startedAt: at, finishedAt: at };
const never: Attempting = { destination: 'crm', retries: 0, reachedAt: null, atLeastOnce: false };

function specWith(more: object): DestinationSpecOf<'http'> {
  const spec = { kind: 'http', url: 'https://crm.example', secret: { value: `whsec_${'A'.repeat(32)}` }, ...more };
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant: 'acme', name: 'crm' }, spec });
  return (parsed as DestinationDocument).spec as DestinationSpecOf<'http'>;
}

const after = (error: unknown, spec: RepeatRules, delivery: Partial<Attempting> = {}) =>
  afterFailure(error, spec, { ...never, ...delivery }, times, steady);

describe('the schedule of the destination', () => {
  const spec = specWith({ retry: { delaysMs: [1_000, 60_000, hour] } });

  test('each retry waits as long as it says', () => {
    expect([0, 1, 2].map((retries) => after(down, spec, { retries }).next.retryInMs)).toEqual([1_000, 60_000, hour]);
  });

  test('a destination that names a time is not asked before it', () => {
    const limited = new DeliveryUnavailable({ summary: 'status 429', detail: {} }, 'limited', 90_000, false);
    expect(after(limited, spec).next.retryInMs).toBe(90_000);
  });

  test('when it is over, the delivery is parked', () => {
    expect(after(noAnswer, spec, { retries: 3 })).toEqual({
      next: { state: 'parked', retryInMs: null },
      error: noAnswer,
      isUncertain: true,
    });
  });

  test('one that became shorter or longer counts as it is now', () => {
    expect(after(down, specWith({ retry: { delaysMs: [5_000] } }), { retries: 2 }).next.state).toBe('parked');
    expect(after(down, specWith({ retry: { delaysMs: [10, 20, 30, 4_000] } }), { retries: 3 }).next.retryInMs).toBe(4_000);
  });

  test.each([new DeliveryRefused({ summary: 'status 400', detail: {} }), new NotFound('connection', 'crm'), new TypeError('a defect')])(
    '%s is parked at once',
    (error) => expect(after(error, spec).next.state).toBe('parked'),
  );

  test('without a document nothing is repeated', () => {
    expect(afterFailure(down, undefined, never, times).next.state).toBe('parked');
  });
});

describe('a repeat that may take effect a second time', () => {
  const none = specWith({ idempotency: { class: 'none' } });
  const oneDay = specWith({ idempotency: { class: 'key', windowMs: 24 * hour }, retry: { delaysMs: [1_000, 22.5 * hour, 23 * hour] } });

  test.each([
    ['key', { class: 'key' }, {}],
    ['upsert', { class: 'upsert' }, { order: 'strict' }],
    ['absolute', { class: 'absolute' }, {}],
  ])('an unknown outcome is repeated at a destination of the class %s', (_, idempotency, more) => {
    expect(after(noAnswer, specWith({ idempotency, ...more }))).toMatchObject({
      next: { state: 'pending' },
      error: noAnswer,
      isUncertain: true,
    });
  });

  test('without a key it waits for a person, and says what happened and what to do', () => {
    const { next, error, isUncertain } = after(noAnswer, none);
    expect({ next, isUncertain }).toEqual({ next: { state: 'parked', retryInMs: null }, isUncertain: true });
    expect(error).toMatchObject({
      code: 'delivery.uncertain',
      message:
        'no response within 100 ms, and may have reached the destination crm, which takes each request anew (idempotency class none): find out whether it was taken, then skip or redeliver it',
    });
  });

  test('without a key, a failure that reached nothing is repeated', () => {
    expect(after(down, none).next.state).toBe('pending');
  });

  test('without a key it is repeated where the flow consents', () => {
    expect(after(noAnswer, none, { atLeastOnce: true }).next.state).toBe('pending');
  });

  test('a key is trusted until an hour before the end of its window, counted from the first attempt that may have arrived', () => {
    expect(after(noAnswer, oneDay, { retries: 1 }).next).toEqual({ state: 'pending', retryInMs: 22.5 * hour });
    expect(after(noAnswer, oneDay, { retries: 2 })).toMatchObject({ next: { state: 'parked' }, error: { code: 'delivery.uncertain' } });
    const reachedAt = new Date(at.getTime() - 2 * hour);
    const later = after(down, oneDay, { retries: 1, reachedAt });
    expect(later).toMatchObject({ next: { state: 'parked' }, error: { code: 'delivery.uncertain' }, isUncertain: false });
    expect((later.error as Error).message).toMatch(/^An attempt that began at 2026-11-29T08:00:00.000Z may have reached/);
  });

  test('as long as nothing arrived, no window has begun', () => {
    expect(after(down, oneDay, { retries: 2 }).next.state).toBe('pending');
  });
});

test('an attempt that may have taken effect is repeated once that can be found out', () => {
  const rules = (settleMs: number): RepeatRules => ({
    ...specWith({ retry: { delaysMs: [1_000] } }),
    idempotency: { class: 'verify', operation: 'find', settleMs, otherwise: 'park' },
  });
  expect(after(noAnswer, rules(30_000)).next.retryInMs).toBe(30_000);
  expect(after(noAnswer, rules(100)).next.retryInMs).toBe(1_000);
  expect(after(down, rules(30_000)).next.retryInMs).toBe(1_000);
});
