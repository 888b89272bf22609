import { expect, test } from 'vitest';
import {
  DeliveryAddressForbidden,
  DeliveryGone,
  DeliveryRefused,
  DeliveryTimedOut,
  DeliveryUnauthorized,
  DeliveryUnavailable,
  DeliveryUnreachable,
} from '#libs/destinations';
import { observationOf } from './attempt.observation.js';
import { DestinationDisabled } from './delivery.errors.js';

const receipt = { summary: 'a response', detail: {} };

test.each([
  ['success', null, 'up'],
  ['no connection', new DeliveryUnreachable(new Error('refused'), false), 'unreachable'],
  ['no response in time', new DeliveryTimedOut(new Error('within 100 ms'), true), 'unreachable'],
  ['a response that says that it is broken', new DeliveryUnavailable(receipt, 'failing', undefined, false), 'failing'],
  ['a refused payload', new DeliveryRefused(receipt), 'up'],
  ['a request to come again', new DeliveryUnavailable(receipt, 'up', undefined, false), 'up'],
  ['a refused credential', new DeliveryUnauthorized(receipt), 'unauthorized'],
  ['a rate limit', new DeliveryUnavailable(receipt, 'limited', 1_000, false), 'limited'],
  ['an inner address', new DeliveryAddressForbidden(new Error('a private address')), 'unknown'],
  ['a destination that is disabled already', new DestinationDisabled('crm'), 'unknown'],
  ['a defect of our own', new TypeError('a defect'), 'unknown'],
])('%s', (_what, error, peer) => expect(observationOf(error, 7)).toMatchObject({ peer, durationMs: 7 }));

test('a pause that was asked for, and a destination that is gone, are passed on', () => {
  expect(observationOf(new DeliveryUnavailable(receipt, 'failing', 30_000, false), 1)).toMatchObject({ peer: 'failing', pauseMs: 30_000 });
  expect(observationOf(new DeliveryGone(receipt), 1)).toMatchObject({ peer: 'gone', reason: 'delivery.destinationDisabled' });
});
