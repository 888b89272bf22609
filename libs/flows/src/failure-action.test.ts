import { expect, test } from 'vitest';
import { failureReason } from '#libs/contracts';
import { LogUnavailable } from '#libs/messaging';
import {
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelOutage,
  ModelOutputInvalid,
  ModelRefused,
  ModelUnavailable,
} from '#libs/models';
import { actionAfter, isWaitedOut } from './failure-action.js';

const retries = 5;

test('a model that is down is tried again until the budget is spent', () => {
  expect(actionAfter(new ModelUnavailable('down'), 4, retries)).toBe('retry');
  expect(actionAfter(new ModelUnavailable('down'), 5, retries)).toBe('give-up');
});

test.each([new ModelLimited('429'), new ModelCredentialRefused('401'), new ModelMisconfigured('404'), new LogUnavailable('away')])(
  'a run waits out %s however long it takes, and it uses up nothing',
  (error) => expect(actionAfter(error, 1_000, retries)).toBe('wait'),
);

test('what is waited out is told, unless it is an affair of processes or the log', () => {
  const told = [new ModelLimited('429'), new ModelCredentialRefused('401'), new ModelMisconfigured('404'), new ModelOutage('away')];
  expect(told.map(isWaitedOut)).toEqual([true, true, true, true]);
  expect([new LogUnavailable('away'), new ModelUnavailable('down')].map(isWaitedOut)).toEqual([false, false]);
});

test.each([new ModelRefused('no'), new ModelOutputInvalid('schema', ['not JSON'])])('nothing is gained by trying again after %s', (error) =>
  expect(actionAfter(error, 0, retries)).toBe('give-up'),
);

test('a defect gets one more chance, and its reason names it', () => {
  const defect = new TypeError('x is undefined');
  expect(actionAfter(defect, 0, retries)).toBe('retry');
  expect(actionAfter(defect, 1, retries)).toBe('give-up');
  expect(failureReason(defect)).toEqual({ code: 'record.defect', message: 'TypeError: x is undefined' });
});
