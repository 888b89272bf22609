import { expect, test } from 'vitest';
import { HostAddressForbidden } from '#libs/http';
import { PartitionMissing, TenantKafkaFailure } from '#libs/messaging';
import { Redaction } from '#libs/redaction';
import { InputRefused } from '../operation.errors.js';
import { failureOf } from './kafka.failure.js';

const context = { cluster: 'kafka.example.com:9093', redaction: new Redaction(['the-password']) };
const answered = (type: string, isUncertain = false): TenantKafkaFailure => new TenantKafkaFailure('answer', type, 'no', { isUncertain });

test.each([
  ['UNKNOWN_TOPIC_OR_PARTITION', 'operation.refused', 'deadLetter'],
  ['TOPIC_AUTHORIZATION_FAILED', 'operation.refused', 'deadLetter'],
  ['MESSAGE_TOO_LARGE', 'operation.refused', 'deadLetter'],
  ['INVALID_RECORD', 'operation.refused', 'deadLetter'],
  ['LEADER_NOT_AVAILABLE', 'operation.unavailable', 'retry'],
  ['NOT_LEADER_FOR_PARTITION', 'operation.unavailable', 'retry'],
  ['NOT_ENOUGH_REPLICAS', 'operation.unavailable', 'retry'],
  ['SOMETHING_NEW', 'operation.unavailable', 'retry'],
  ['THROTTLING_QUOTA_EXCEEDED', 'operation.limited', 'retry'],
])('the answer %s is %s', (type, code, outcome) => {
  expect(failureOf(answered(type), context)).toMatchObject({ code, outcome, isUncertain: false });
  expect(failureOf(answered(type, true), context).isUncertain).toBe(true);
});

test('each end of a session has its meaning', () => {
  const failed = (kind: 'login' | 'connection' | 'late', more: object = {}) =>
    failureOf(new TenantKafkaFailure(kind, undefined, 'said the-password\r\nand more', more), context);
  expect(failed('login')).toMatchObject({ code: 'operation.unauthorized', peer: 'unauthorized' });
  expect(failed('connection', { isUncertain: true })).toMatchObject({
    code: 'operation.unavailable',
    peer: 'unreachable',
    isUncertain: true,
  });
  expect(failed('late', { isUncertain: true })).toMatchObject({ code: 'operation.timeout', isUncertain: true });
  const cause = new HostAddressForbidden('kafka.example.com', '10.0.0.1', 'private');
  expect(failed('connection', { cause })).toMatchObject({ code: 'operation.addressForbidden', outcome: 'deadLetter' });
  expect(failed('connection').message).toMatch(/: said \*+ and more$|: said \[.*\] and more$/);
  expect(() => failureOf(new PartitionMissing('orders', 3, 3), context)).toThrow(InputRefused);
});
