import { expect, test } from 'vitest';
import { DomainError } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';
import { afterFailure } from './failure-policy.js';
import type { Tries } from './failure-policy.js';
import { LogUnavailable, RecordUndecodable } from '../messaging.errors.js';

const policy = { retries: 2, initialDelayMs: 100, factor: 2, maxDelayMs: 1_000, jitter: 0 };
const fresh = (): Tries => ({ attempt: 1, spent: 0, ours: 0, defects: 0 });

class ModelAway extends DomainError {
  readonly code: FailureCode = 'model.unavailable';
  constructor(override readonly retryAfterMs?: number) {
    super('The model is away');
  }
}

test('a failure with outcome retry is tried again after growing pauses, then parked under its code', () => {
  const tries = fresh();
  const steps = Array.from({ length: 3 }, () => afterFailure(new ModelAway(), tries, policy));
  expect(steps).toEqual([{ againInMs: 100 }, { againInMs: 200 }, { park: { code: 'model.unavailable', message: 'The model is away' } }]);
});

test('a pause the other side asks for is honoured', () => {
  expect(afterFailure(new ModelAway(5_000), fresh(), policy)).toEqual({ againInMs: 5_000 });
});

test('what is our own fault is tried for ever and leaves the budget of the others untouched', () => {
  const tries = fresh();
  for (let failure = 0; failure < 50; failure += 1) {
    expect(afterFailure(new LogUnavailable('away'), tries, policy)).toEqual({ againInMs: 1_000 });
  }
  expect(afterFailure(new ModelAway(), tries, policy)).toEqual({ againInMs: 100 });
});

test('what soon passes is asked again within its own time, however often it failed', () => {
  const tries = { ...fresh(), ours: 100 };
  expect(afterFailure(new LogUnavailable('away'), tries, { ...policy, maxDelayMs: 60_000 })).toEqual({ againInMs: 5_000 });
});

test('any other outcome is parked at once', () => {
  expect(afterFailure(new RecordUndecodable('not JSON'), fresh(), policy)).toEqual({
    park: { code: 'record.undecodable', message: 'not JSON' },
  });
});

test('a defect is tried once more, then parked as one', () => {
  const tries = fresh();
  const defect = new TypeError('x is undefined');
  expect(afterFailure(defect, tries, policy)).toEqual({ againInMs: 100 });
  expect(afterFailure(defect, tries, policy)).toEqual({ park: { code: 'record.defect', message: 'x is undefined' } });
});
