import { expect, test } from 'vitest';
import { NotFound } from './errors.js';
import { failureReason, messageOf } from './failure-reason.js';

test('the reason of an expected failure is its code and message', () => {
  expect(failureReason(new NotFound('event', 'evt_1'))).toEqual({ code: 'event.unknown', message: 'There is no event evt_1' });
});

test.each([
  [new RangeError('too far'), 'RangeError: too far'],
  ['thrown as text', 'thrown as text'],
])('the reason of anything else is a defect: %s', (error, message) => {
  expect(failureReason(error)).toEqual({ code: 'record.defect', message });
});

test('the message of a connection that failed on several addresses names each of them', () => {
  expect(messageOf(new AggregateError([new Error('connect ECONNREFUSED ::1:1'), new Error('connect ECONNREFUSED 127.0.0.1:1')]))).toBe(
    'connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1',
  );
  expect(messageOf(new AggregateError([new Error('one')], 'all of them failed'))).toBe('all of them failed');
});
