import { expect, test } from 'vitest';
import { DestinationTimedOut, DestinationUnreachable } from '#libs/http';
import { DeliveryGone, DeliveryRefused, DeliveryUnauthorized, DeliveryUnavailable } from '../connectors/connector.errors.js';
import { observationOf } from './attempt.observation.js';

const answer = (status: number) => ({ status, excerpt: '' });

test.each([
  ['success', null, 'answered'],
  ['no connection', new DestinationUnreachable('crm', new Error('refused')), 'unanswered'],
  ['no answer in time', new DestinationTimedOut('crm', 100), 'unanswered'],
  ['500', new DeliveryUnavailable(answer(500), undefined), 'failed'],
  ['422', new DeliveryRefused(answer(422)), 'answered'],
  ['409', new DeliveryUnavailable(answer(409), undefined), 'answered'],
  ['401', new DeliveryUnauthorized(answer(401)), 'credentialRefused'],
  ['429', new DeliveryUnavailable(answer(429), 1_000), undefined],
  ['a defect of our own', new TypeError('a defect'), undefined],
])('%s', (_what, error, outcome) => expect(observationOf(error, 7)).toMatchObject({ outcome, durationMs: 7 }));

test('a pause that was asked for, and a destination that is gone, are passed on', () => {
  expect(observationOf(new DeliveryUnavailable(answer(503), 30_000), 1)).toMatchObject({ outcome: 'failed', pauseMs: 30_000, gone: false });
  expect(observationOf(new DeliveryGone(answer(410)), 1)).toMatchObject({ gone: true, reason: 'delivery.destinationDisabled' });
});
