import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { KeyRing, issueApiKey } from '#libs/auth';
import type { CheckableApiKey, FindApiKey } from '#libs/auth';
import { ConfigurationUnavailable } from '#libs/persistence';
import { OperationRunner } from '../../operations/operation-runner.js';
import { Subscriptions } from './subscriptions.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
  return () => vi.useRealTimers();
});

/** A key whose subscriptions are rechecked, and the codes that they were refused with. */
function recheckedKey({ expiresAt = null }: { expiresAt?: Date | null } = {}) {
  const { key, id, secretHash } = issueApiKey('test');
  const stored: CheckableApiKey = {
    id,
    tenant: 'acme',
    secretHash,
    scopes: ['read'],
    expiresAt,
    revokedAt: null,
  };
  const found = { by: (() => stored) as FindApiKey };
  const runner = new OperationRunner(new KeyRing((wanted) => found.by(wanted)), undefined as never);
  const subscriptions = new Subscriptions(undefined as never, runner, undefined as never);
  const refused: string[] = [];
  const timer = subscriptions.recheck({ authorization: `Bearer ${key}`, tenant: undefined }, ({ code }) => refused.push(code));
  onTestFinished(() => clearInterval(timer));
  return { found, refused, timer };
}

test('a key that was revoked loses its subscriptions after 15 s, and one in force keeps them', async () => {
  const { found, refused } = recheckedKey();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(refused).toEqual([]);
  found.by = () => undefined;
  await vi.advanceTimersByTimeAsync(14_999);
  expect(refused).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(refused).toEqual(['credential.invalid']);
});

test('a key that expires loses its subscriptions within 15 s', async () => {
  const { refused } = recheckedKey({ expiresAt: new Date(Date.now() + 20_000) });
  await vi.advanceTimersByTimeAsync(15_000);
  expect(refused).toEqual([]);
  await vi.advanceTimersByTimeAsync(15_000);
  expect(refused).toEqual(['credential.invalid']);
});

test('a configuration that is not available ends no subscription', async () => {
  const { found, refused } = recheckedKey();
  found.by = () => Promise.reject(new ConfigurationUnavailable());
  await vi.advanceTimersByTimeAsync(30_000);
  expect(refused).toEqual([]);
});
